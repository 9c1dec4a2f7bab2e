import { AppError, type Clock, newId, Secret } from '@anteroom/base'
import type { CaptureSummary } from '@anteroom/contract'
import type { Audit } from '../audit/audit.ts'
import type { Row, Store, Tx } from '../store/store.ts'
import { formOf, type Owner, sealEntry, unreadable } from './entry-form.ts'
import type { Heads } from './heads.ts'
import type { KeyRing } from './key-ring.ts'
import { type OpenedPayload, readPayload } from './sealed-credential.ts'

export interface EntryParts {
  readonly ring: KeyRing
  readonly heads: Heads
  readonly store: Store
  readonly clock: Clock
  readonly audit: Pick<Audit, 'record'>
}

/** The versions of each connection's credential, encrypted; older ones stay until the connection is deleted. */
export class CredentialEntries {
  readonly #parts: EntryParts
  /** Of connections that this process has seen: the version, below which none may come back. */
  readonly #seen = new Map<string, number>()

  constructor(parts: EntryParts) {
    this.#parts = parts
  }

  async has(sessionId: string, db: Store['db'] = this.#parts.store.db): Promise<boolean> {
    const row = await db.selectFrom('credentials').select('id').where('session_id', '=', sessionId).executeTakeFirst()
    return row !== undefined
  }

  /**
   * Writes the next version, unless this session has written one already. Gives what to remember once it is committed.
   * @throws AppError vault_unavailable
   */
  async append(
    tx: Tx,
    session: { readonly id: string; readonly connectionId: string },
    payload: OpenedPayload,
    summary: CaptureSummary,
  ): Promise<Written | undefined> {
    if (await this.has(session.id, tx)) return undefined
    const { ring, heads, clock, audit } = this.#parts
    const owner = await ownerOf(tx, session.connectionId)
    if (owner?.provider !== payload.provider)
      throw new AppError('vault_unavailable', {
        detail: `Connection ${session.connectionId} was deleted while the person signed in.`,
      })
    if (owner.version > 0) await this.#newestOf(tx, session.connectionId)
    const entry = {
      id: newId('credential'),
      connection_id: session.connectionId,
      version: owner.version + 1,
      session_id: session.id,
    }
    const { id: wrapping_key_id, envelope } = ring.current
    await tx
      .insertInto('credentials')
      .values({
        ...{ ...entry, wrapping_key_id, captured_at: Date.parse(payload.capturedAt) },
        ...sealEntry(envelope, payload.bytes, entry, owner),
      })
      .execute()
    const head = heads.of({ ...headOf(owner), version: entry.version, entryId: entry.id })
    await tx
      .updateTable('connections')
      .set({
        ...{ version: entry.version, head, captured: JSON.stringify(summary) },
        ...{ last_session_id: session.id, updated_at: clock.now() },
      })
      .where('id', '=', session.connectionId)
      .execute()
    await audit.record(tx, {
      action: 'credential.stored',
      target: { kind: 'connection', id: session.connectionId },
      details: { credential: entry.id, version: entry.version, session: session.id },
    })
    const sequence = await heads.change(tx, { gone: owner.head, come: head })
    return { sequence, connectionId: session.connectionId, version: entry.version }
  }

  /**
   * The newest credential; `json` is the contract's Credential, in bytes that whoever asked wipes.
   * @throws AppError not_found, connection_needs_auth, and other errors when the database was changed or damaged
   */
  async newest(connectionId: string): Promise<{ id: string; version: number; json: Secret<Buffer> }> {
    const { store, ring } = this.#parts
    const { entry, owner } = await this.#newestOf(store.db, connectionId)
    using payload = readPayload(await formOf(entry).open(ring.envelopeOf(entry.wrapping_key_id), entry, owner))
    if (payload.provider !== owner.provider) throw new Error('the connection was moved to another provider')
    this.#see(connectionId, entry.version)
    const about = JSON.stringify({
      ...{ id: entry.id, connection_id: connectionId, version: entry.version, captured_at: payload.capturedAt },
    })
    const value = payload.bytes.expose().subarray(payload.value.start, payload.value.end)
    const json = Buffer.concat([Buffer.from(`${about.slice(0, -1)},"value":`), value, Buffer.from('}')])
    return { id: entry.id, version: entry.version, json: new Secret(json) }
  }

  /** Destroys the data key of every version, then the versions. The connection itself is the caller's. */
  async destroy(tx: Tx, connectionId: string): Promise<Written | undefined> {
    const owner = await ownerOf(tx, connectionId)
    if (!owner) return undefined
    await tx
      .updateTable('credentials')
      // As long as what it replaces, so that it comes to lie in the same place.
      .set({ format: 0, wrapped_key: '0'.repeat(wrappedKeyLength), ciphertext: '' })
      .where('connection_id', '=', connectionId)
      .execute()
    await tx.deleteFrom('credentials').where('connection_id', '=', connectionId).execute()
    return { sequence: await this.#parts.heads.change(tx, { gone: owner.head }), connectionId, version: 0 }
  }

  /** Wraps up to `limit` data keys of other keys under the current one. @returns how many, and how many were no use */
  async rewrapOthers(tx: Tx, limit: number): Promise<Renewed> {
    const { ring } = this.#parts
    const rows = await tx
      .selectFrom('credentials')
      .selectAll()
      .where('wrapping_key_id', 'in', ring.oldIds)
      .limit(limit)
      .execute()
    return await this.#renew(tx, rows, async ({ entry, owner }) => ({
      wrapped_key: ring.current.envelope.rewrap(
        entry.wrapped_key,
        ring.envelopeOf(entry.wrapping_key_id),
        formOf(entry).binding(entry, owner),
      ),
    }))
  }

  /** Encrypts up to `limit` entries of an earlier form anew, in the present one. */
  async renewOldForms(tx: Tx, limit: number): Promise<Renewed> {
    const { ring } = this.#parts
    const rows = await tx.selectFrom('credentials').selectAll().where('format', '=', 1).limit(limit).execute()
    return await this.#renew(tx, rows, async ({ entry, owner }) => {
      using payload = readPayload(await formOf(entry).open(ring.envelopeOf(entry.wrapping_key_id), entry, owner))
      return sealEntry(ring.current.envelope, payload.bytes, entry, owner)
    })
  }

  async #renew(
    tx: Tx,
    rows: readonly Row<'credentials'>[],
    anew: (of: { entry: Row<'credentials'>; owner: Owner }) => Promise<Partial<Row<'credentials'>>>,
  ): Promise<Renewed> {
    let lost = 0
    for (const entry of rows) {
      let change: Partial<Row<'credentials'>>
      try {
        const owner = await ownerOf(tx, entry.connection_id)
        if (!owner) throw new Error('it has no connection')
        change = { ...(await anew({ entry, owner })), wrapping_key_id: this.#parts.ring.current.id }
      } catch {
        // It opens with no key that there is. Left as it was it would keep the old one for ever; `verify` names it.
        lost++
        change = { wrapping_key_id: unreadable, format: 2 }
      }
      await tx.updateTable('credentials').set(change).where('id', '=', entry.id).execute()
    }
    return { some: rows.length > 0, lost }
  }

  /** Throws when what the database says is not what the vault has written last. */
  async #newestOf(db: Store['db'], connectionId: string): Promise<{ entry: Row<'credentials'>; owner: Owner }> {
    // One statement: a store in between cannot pull the connection and its newest entry apart.
    const row = await db
      .selectFrom('credentials as c')
      .innerJoin('connections as n', 'n.id', 'c.connection_id')
      .selectAll('c')
      .select(['n.provider', 'n.subject', 'n.head', 'n.version as newest_version'])
      .where('n.id', '=', connectionId)
      .orderBy('c.version', 'desc')
      .limit(1)
      .executeTakeFirst()
    if (!row) throw await this.#whyNone(connectionId)
    const { provider, subject, head, newest_version, ...entry } = row
    const owner = { id: connectionId, provider, subject, head, version: newest_version }
    // A database that lost its newest version, or was given an old one back, must not pass for the current one.
    if (entry.version !== newest_version)
      throw new Error(`the connection is at version ${newest_version}, its newest credential is ${entry.version}`)
    if (!this.#parts.heads.isTrue({ ...headOf(owner), version: entry.version, entryId: entry.id }, head))
      throw new Error('the connection was changed, or its newest version is not the one that was written last')
    const seen = this.#seen.get(connectionId) ?? 0
    if (entry.version < seen)
      throw new Error(`version ${seen} was there already, and now the newest is ${entry.version}`)
    return { entry, owner }
  }

  /** What was committed: from now on less than this has been put back. */
  remember({ sequence, connectionId, version }: Written): void {
    this.#parts.heads.remember(sequence)
    this.#see(connectionId, version)
  }

  #see(connectionId: string, version: number): void {
    this.#seen.delete(connectionId)
    this.#seen.set(connectionId, version)
    const [oldest] = this.#seen.keys()
    if (this.#seen.size > mostRemembered && oldest !== undefined) this.#seen.delete(oldest)
  }

  async #whyNone(connectionId: string): Promise<Error> {
    const connection = await ownerOf(this.#parts.store.db, connectionId)
    if (!connection) return new AppError('not_found', { detail: `There is no connection ${connectionId}.` })
    if (connection.version > 0)
      return new Error(`the connection is at version ${connection.version} and has no credential`)
    return new AppError('connection_needs_auth', { detail: `Connection ${connectionId} has no credential.` })
  }
}

/** What a transaction has changed. */
export interface Written {
  /** See Heads.remember. */
  readonly sequence: number
  readonly connectionId: string
  /** 0: it has no credential any more. */
  readonly version: number
}

export interface Renewed {
  readonly some: boolean
  readonly lost: number
}

const mostRemembered = 10_000
/** 32 bytes, an iv of 12 and a tag of 16, as base64url. */
const wrappedKeyLength = 80

const headOf = ({ id, provider, subject }: Owner) => ({ connectionId: id, provider, subject })

const ownerOf = (db: Store['db'], connectionId: string): Promise<Owner | undefined> =>
  db
    .selectFrom('connections')
    .select(['id', 'provider', 'subject', 'version', 'head'])
    .where('id', '=', connectionId)
    .executeTakeFirst()
