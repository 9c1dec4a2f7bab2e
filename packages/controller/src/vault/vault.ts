import { AppError, type Clock, type Secret } from '@anteroom/base'
import type { CaptureSummary, Credential, SealedPayload, SealingKey } from '@anteroom/contract'
import type { Audit } from '../audit/audit.ts'
import { type Reach, requireReached, type Store, type Tx } from '../store/store.ts'
import { CredentialEntries } from './credential-entries.ts'
import { deriveFrom, Envelope } from './envelope.ts'
import { makeKeyFile, type RootKey, readKeyFile } from './key-file.ts'
import { invalid, openSealedCredential } from './sealed-credential.ts'
import { publicHalf, type SealingKeyPair, SealingKeys } from './sealing-keys.ts'

export { backUpKey, type KeyBackup, readKeyBackup } from './key-backup.ts'

/** The only module that sees a credential's plaintext. */
export interface Vault {
  /** The session's public sealing key; made on first use, the same one afterwards. @throws AppError vault_unavailable */
  sealingKey(sessionId: string): Promise<SealingKey>
  /**
   * Opens what the guest sealed, checks that it is this session's, and stores it encrypted as the next version of the
   * connection. Idempotent by session. Destroys the session's sealing key.
   * @throws AppError capture_invalid, vault_unavailable; session_over when the key was discarded meanwhile
   */
  store(session: SealingSession, sealed: string, summary: CaptureSummary): Promise<void>
  /** Forgets the sealing key of a session that ends without a credential; from then on none can be stored for it. */
  discardSealingKey(tx: Tx, sessionId: string): Promise<void>
  /**
   * Whoever asked is in the audit before the value leaves.
   * @throws AppError not_found, connection_needs_auth, vault_unavailable; store_unavailable, disk_full: it could not be written down
   */
  read(connectionId: string): Promise<Credential>
  /** The same, of connections within somebody's reach. */
  of(reach: Reach): Pick<Vault, 'read'>
  /** A key derived from the vault's own (HKDF, `label` as info), for secrets that must not be stored. 32 bytes. */
  deriveKey(label: string): Buffer
}

export interface SealingSession {
  readonly id: string
  readonly provider: string
  readonly connectionId: string
}

export interface VaultParts {
  readonly keyFile: string
  readonly store: Store
  readonly clock: Clock
  readonly audit: Pick<Audit, 'record'>
}

/**
 * Opens the vault with the key at `keyFile`, which is made when neither the file nor anything encrypted exists yet.
 * @throws AppError vault_unavailable when the key is missing, readable by others, damaged, or another one
 */
export async function openVault(options: VaultParts): Promise<Vault> {
  const usedKeys = await usedKeyIds(options.store)
  const found = await readKeyFile(options.keyFile)
  if (!found && usedKeys.length > 0)
    throw unavailable(
      `The vault's key file ${options.keyFile} is missing, and the database holds what only key ${usedKeys.join(', ')} opens. ` +
        'Restore the file from your backup; without it nobody can read those credentials again.',
    )
  const root = found ?? (await makeKeyFile(options.keyFile))
  const foreign = usedKeys.filter((id) => id !== root.id)
  if (foreign.length > 0)
    throw unavailable(
      `The key file ${options.keyFile} holds key ${root.id}, but the database was encrypted with ${foreign.join(', ')}. ` +
        'Restore the key file that belongs to this database.',
    )
  return new KeyFileVault(root, options)
}

async function usedKeyIds({ db }: Store): Promise<string[]> {
  const rows = await db
    .selectFrom('credentials')
    .select('wrapping_key_id')
    .union(db.selectFrom('sealing_keys').select('wrapping_key_id'))
    .execute()
  return rows.map((row) => row.wrapping_key_id)
}

class KeyFileVault implements Vault {
  readonly #root: Secret<Buffer>
  readonly #store: Store
  readonly #audit: Pick<Audit, 'record'>
  readonly #entries: CredentialEntries
  readonly #sealingKeys: SealingKeys

  constructor(root: RootKey, { store, clock, audit }: VaultParts) {
    this.#root = root.bytes
    this.#store = store
    this.#audit = audit
    const envelope = new Envelope(root.bytes)
    this.#entries = new CredentialEntries(envelope, root.id, { store, clock, audit })
    this.#sealingKeys = new SealingKeys(envelope, root.id, store, clock)
  }

  async sealingKey(sessionId: string): Promise<SealingKey> {
    return publicHalf(
      await guarded(`The sealing key of ${sessionId} cannot be used`, () => this.#sealingKeys.ensure(sessionId)),
    )
  }

  async store(session: SealingSession, sealed: string, summary: CaptureSummary): Promise<void> {
    if (await guarded('The database does not answer', () => this.#entries.has(session.id))) return
    const key = await guarded(`The sealing key of ${session.id} cannot be used`, () =>
      this.#sealingKeys.find(session.id),
    )
    if (!key) throw invalid(`session ${session.id} has no sealing key`)
    const payload = await this.#open(session, sealed, key)
    if (payload.value.kind !== summary.kind) throw invalid(`its kind is not ${summary.kind}, as its summary says`)
    await guarded(`The credential of ${session.connectionId} could not be written`, () =>
      this.#store.transaction(async (tx) => {
        // Whoever ends a session takes its key away: what was not stored by then never will be.
        if (await this.#sealingKeys.discard(tx, session.id)) await this.#entries.append(tx, session, payload, summary)
        else if (!(await this.#entries.has(session.id, tx)))
          throw new AppError('session_over', { detail: 'it ended before its credential was stored' })
      }),
    )
  }

  async discardSealingKey(tx: Tx, sessionId: string): Promise<void> {
    await this.#sealingKeys.discard(tx, sessionId)
  }

  async read(connectionId: string): Promise<Credential> {
    const credential = await guarded(`The credential of ${connectionId} was changed or damaged in the database`, () =>
      this.#entries.newest(connectionId),
    )
    const { id, version } = credential
    await this.#store.transaction((tx) =>
      this.#audit.record(tx, {
        action: 'credential.read',
        target: { kind: 'connection', id: connectionId },
        details: { credential: id, version },
      }),
    )
    return credential
  }

  of(reach: Reach): Pick<Vault, 'read'> {
    const read = async (connectionId: string): Promise<Credential> => {
      await requireReached(this.#store.db, reach, 'connections', connectionId)
      return await this.read(connectionId)
    }
    return { read }
  }

  deriveKey(label: string): Buffer {
    return deriveFrom(this.#root, `derived: ${label}`)
  }

  async #open(session: SealingSession, sealed: string, key: SealingKeyPair): Promise<SealedPayload> {
    const payload = await openSealedCredential(sealed, key.kid, key.privateKey)
    if (payload.session_id !== session.id) throw invalid('it names another session')
    if (payload.provider !== session.provider) throw invalid('it names another provider')
    return payload
  }
}

/** Whatever goes wrong inside is the vault's failure; what exactly is in the log, as the cause. */
async function guarded<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof AppError) throw error
    throw unavailable(`${what}.`, error)
  }
}

const unavailable = (detail: string, cause?: unknown): AppError => new AppError('vault_unavailable', { detail, cause })
