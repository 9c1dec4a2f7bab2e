import { AppError, type Clock, newId } from '@anteroom/base'
import { type CaptureSummary, type Credential, type SealedPayload, sealedPayload } from '@anteroom/contract'
import type { Audit } from '../audit/audit.ts'
import type { Row, Store, Tx } from '../store/store.ts'
import type { Binding, Envelope, Sealed } from './envelope.ts'

type Entry = Pick<Row<'credentials'>, 'id' | 'connection_id' | 'version' | 'session_id'>

interface EntriesParts {
  readonly store: Store
  readonly clock: Clock
  readonly audit: Pick<Audit, 'record'>
}

/** The versions of each connection's credential, encrypted; older ones stay until the connection is deleted. */
export class CredentialEntries {
  readonly #envelope: Envelope
  readonly #rootId: string
  readonly #store: Store
  readonly #clock: Clock
  readonly #audit: Pick<Audit, 'record'>

  constructor(envelope: Envelope, rootId: string, { store, clock, audit }: EntriesParts) {
    this.#audit = audit
    this.#envelope = envelope
    this.#rootId = rootId
    this.#store = store
    this.#clock = clock
  }

  async has(sessionId: string, db: Store['db'] = this.#store.db): Promise<boolean> {
    const row = await db.selectFrom('credentials').select('id').where('session_id', '=', sessionId).executeTakeFirst()
    return row !== undefined
  }

  /** Writes the next version, unless this session has written one already. @throws AppError vault_unavailable */
  async append(
    tx: Tx,
    session: { readonly id: string; readonly connectionId: string },
    payload: SealedPayload,
    summary: CaptureSummary,
  ): Promise<void> {
    if (await this.has(session.id, tx)) return
    const connection = await tx
      .updateTable('connections')
      .set((eb) => ({
        version: eb('version', '+', 1),
        captured: JSON.stringify(summary),
        last_session_id: session.id,
        updated_at: this.#clock.now(),
      }))
      .where('id', '=', session.connectionId)
      .where('provider', '=', payload.provider)
      .returning('version')
      .executeTakeFirst()
    if (!connection)
      throw new AppError('vault_unavailable', {
        detail: `Connection ${session.connectionId} was deleted while the person signed in.`,
      })
    const entry = {
      id: newId('credential'),
      connection_id: session.connectionId,
      version: connection.version,
      session_id: session.id,
    }
    const { ciphertext, wrappedKey } = this.#encrypt(payload, entry)
    await tx
      .insertInto('credentials')
      .values({
        ...entry,
        ciphertext,
        wrapped_key: wrappedKey,
        wrapping_key_id: this.#rootId,
        captured_at: Date.parse(payload.captured_at),
      })
      .execute()
    await this.#audit.record(tx, {
      action: 'credential.stored',
      target: { kind: 'connection', id: session.connectionId },
      details: { credential: entry.id, version: entry.version, session: session.id },
    })
  }

  /** @throws AppError not_found, connection_needs_auth, and other errors when the database was changed or damaged */
  async newest(connectionId: string): Promise<Credential> {
    // One statement: a store in between cannot pull the connection and its newest entry apart.
    const row = await this.#store.db
      .selectFrom('credentials as c')
      .innerJoin('connections as n', 'n.id', 'c.connection_id')
      .selectAll('c')
      .select(['n.provider', 'n.version as newest_version'])
      .where('n.id', '=', connectionId)
      .orderBy('c.version', 'desc')
      .limit(1)
      .executeTakeFirst()
    if (!row) throw await this.#whyNone(connectionId)
    // A database that lost its newest version, or was given an old one back, must not pass for the current one.
    if (row.version !== row.newest_version)
      throw new Error(`the connection is at version ${row.newest_version}, its newest credential is ${row.version}`)
    const payload = this.#decrypt({ ciphertext: row.ciphertext, wrappedKey: row.wrapped_key }, row)
    if (payload.provider !== row.provider) throw new Error('the connection was moved to another provider')
    return {
      id: row.id,
      connection_id: connectionId,
      version: row.version,
      captured_at: payload.captured_at,
      value: payload.value,
    }
  }

  async #whyNone(connectionId: string): Promise<AppError> {
    const connection = await this.#store.db
      .selectFrom('connections')
      .select('id')
      .where('id', '=', connectionId)
      .executeTakeFirst()
    return connection
      ? new AppError('connection_needs_auth', { detail: `Connection ${connectionId} has no credential.` })
      : new AppError('not_found', { detail: `There is no connection ${connectionId}.` })
  }

  #encrypt(payload: SealedPayload, entry: Entry): Sealed {
    const plaintext = Buffer.from(JSON.stringify(payload))
    try {
      return this.#envelope.seal(plaintext, binding(entry))
    } finally {
      plaintext.fill(0)
    }
  }

  #decrypt(sealed: Sealed, entry: Entry): SealedPayload {
    const plaintext = this.#envelope.open(sealed, binding(entry))
    try {
      return sealedPayload.parse(JSON.parse(plaintext.toString('utf8')))
    } finally {
      plaintext.fill(0)
    }
  }
}

const binding = (entry: Entry): Binding => [
  'credential',
  entry.id,
  entry.version,
  entry.connection_id,
  entry.session_id,
]
