import { AppError, Scope, type Secret } from '@anteroom/base'
import type { CaptureSummary, SealingKey } from '@anteroom/contract'
import type { Audit } from '../audit/audit.ts'
import { type Reach, requireReached, type Store, type Tx } from '../store/store.ts'
import { CredentialEntries, type Written } from './credential-entries.ts'
import { Heads } from './heads.ts'
import type { KeyRing } from './key-ring.ts'
import { openKeyRing, type RingParts } from './open-key-ring.ts'
import { Rotation } from './rotation.ts'
import { invalid, type OpenedPayload, openSealedCredential } from './sealed-credential.ts'
import { publicHalf, type SealingKeyPair, SealingKeys } from './sealing-keys.ts'
import { markPathOf, VaultMark } from './vault-mark.ts'
import { type VaultReport, verifyVault } from './verify.ts'

export { readLock } from './backup-file.ts'
export { backUpKey, type KeyBackup, readKeyBackup } from './key-backup.ts'
export { newRootKeyLine } from './key-file.ts'
export type { KeyProviderSettings } from './key-provider.ts'
export { backUpVault, restoreVault } from './vault-backup.ts'
export type { VaultReport } from './verify.ts'

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
   * JSON of the contract's Credential, as bytes: whoever asked overwrites them when they were sent, and is in the audit before.
   * @throws AppError not_found, connection_needs_auth, vault_unavailable; store_unavailable, disk_full: it could not be written down
   */
  read(connectionId: string): Promise<Secret<Buffer>>
  /** The same, of connections within somebody's reach. */
  of(reach: Reach): Pick<Vault, 'read'>
  /**
   * Destroys the data keys of all versions of a connection within `reach`, and does `work` in the same transaction. When it resolves
   * neither the database nor its log holds those keys any more, unless somebody was reading it; then the log is emptied as soon as
   * they are done. @throws AppError not_found, vault_unavailable, and what `work` throws
   */
  destroy(reach: Reach, connectionId: string, work: (tx: Tx) => Promise<void>): Promise<void>
  /** A key derived from one that is never rotated (HKDF, `label` as info), for secrets that must not be stored. 32 bytes. */
  deriveKey(label: string): Buffer
  readonly rotation: Pick<Rotation, 'request' | 'newest'>
  /** Opens every entry, and counts. @throws AppError deadline_exceeded */
  verify(scope: Scope): Promise<VaultReport>
  /** Does what was asked for, and what was left half done, until `scope` is over. */
  run(scope: Scope): Promise<void>
}

export interface SealingSession {
  readonly id: string
  readonly provider: string
  readonly connectionId: string
}

export interface VaultParts extends RingParts {
  readonly audit: Pick<Audit, 'record'>
  readonly scope?: Scope
  /** The operator says that the database is older than the vault's mark on purpose. */
  readonly acceptPutBack?: boolean
}

/**
 * Opens the vault. A key file is made when neither it nor anything encrypted exists yet.
 * @throws AppError vault_unavailable when there is no root key, it is another database's, or the database was put back
 */
export async function openVault(parts: VaultParts): Promise<Vault> {
  const { store, clock, keyFile, audit } = parts
  const scope = parts.scope ?? Scope.root('open the vault')
  const { ring, provider } = await openKeyRing(parts, scope)
  const heads = new Heads(ring.heads)
  const mark = new VaultMark(markPathOf(keyFile), heads)
  await guarded('The vault’s count of its changes cannot be trusted', () =>
    parts.acceptPutBack ? accept(store, heads, mark) : compare(store, heads, mark),
  )
  const entries = new CredentialEntries({ ring, heads, store, clock, audit })
  const sealingKeys = new SealingKeys(ring, store, clock)
  const rotation = new Rotation({ store, clock, audit, ring, provider, entries, sealingKeys })
  return new DatabaseVault({ store, audit, ring, heads, mark, entries, sealingKeys, rotation })
}

async function compare({ db }: Store, heads: Heads, mark: VaultMark): Promise<void> {
  // In this order: beside a controller that writes the database is never behind the mark that was read before it.
  const marked = await mark.read()
  const { sequence } = await heads.state(db)
  if (sequence < marked)
    throw unavailable(
      `The database was put back: it holds ${sequence} changes of the vault, and ${marked} were written. What was captured since is ` +
        'missing, and what was deleted since may be there again. Bring the newest database back; if this one is meant, say so: ' +
        'npm run anteroom -- vault accept',
    )
  heads.remember(sequence)
}

async function accept(store: Store, heads: Heads, mark: VaultMark): Promise<void> {
  const marked = await mark.read().catch(() => 0)
  const sequence = await store.transaction(async (tx) => {
    const row = await tx.selectFrom('vault_state').select('sequence').executeTakeFirst()
    return await heads.accept(tx, Math.max(row?.sequence ?? 0, marked) + 1)
  })
  heads.remember(sequence)
  await mark.write(sequence)
}

interface Inside {
  readonly store: Store
  readonly audit: Pick<Audit, 'record'>
  readonly ring: KeyRing
  readonly heads: Heads
  readonly mark: VaultMark
  readonly entries: CredentialEntries
  readonly sealingKeys: SealingKeys
  readonly rotation: Rotation
}

class DatabaseVault implements Vault {
  readonly #inside: Inside
  /** What is wrong with all connections together; looked at once, for what this process wrote itself it knows. */
  #putBack: Promise<string | undefined> | undefined
  /** Somebody read the database when its log was to be emptied. */
  #mustEmptyLog = false

  constructor(inside: Inside) {
    this.#inside = inside
  }

  get rotation(): Rotation {
    return this.#inside.rotation
  }

  async sealingKey(sessionId: string): Promise<SealingKey> {
    const { sealingKeys } = this.#inside
    return publicHalf(
      await guarded(`The sealing key of ${sessionId} cannot be used`, () => sealingKeys.ensure(sessionId)),
    )
  }

  async store(session: SealingSession, sealed: string, summary: CaptureSummary): Promise<void> {
    const { entries, sealingKeys, store } = this.#inside
    if (await guarded('The database does not answer', () => entries.has(session.id))) return
    const key = await guarded(`The sealing key of ${session.id} cannot be used`, () => sealingKeys.find(session.id))
    if (!key) throw invalid(`session ${session.id} has no sealing key`)
    using payload = await this.#open(session, sealed, key)
    if (payload.kind !== summary.kind) throw invalid(`its kind is not ${summary.kind}, as its summary says`)
    const written = await guarded(`The credential of ${session.connectionId} could not be written`, () =>
      store.transaction(async (tx) => {
        // Whoever ends a session takes its key away: what was not stored by then never will be.
        if (await sealingKeys.discard(tx, session.id)) return await entries.append(tx, session, payload, summary)
        if (await entries.has(session.id, tx)) return undefined
        throw new AppError('session_over', { detail: 'it ended before its credential was stored' })
      }),
    )
    if (written) await this.#remember(written)
  }

  async discardSealingKey(tx: Tx, sessionId: string): Promise<void> {
    await this.#inside.sealingKeys.discard(tx, sessionId)
  }

  async read(connectionId: string): Promise<Secret<Buffer>> {
    const { store, audit, entries } = this.#inside
    await this.#requireWhole()
    const { id, version, json } = await guarded(
      `The credential of ${connectionId} was changed or damaged in the database`,
      () => entries.newest(connectionId),
    )
    const target = { kind: 'connection' as const, id: connectionId }
    await store
      .transaction((tx) =>
        audit.record(tx, { action: 'credential.read', target, details: { credential: id, version } }),
      )
      .catch((error: unknown) => {
        json.expose().fill(0)
        throw error
      })
    return json
  }

  of(reach: Reach): Pick<Vault, 'read'> {
    const read = async (connectionId: string): Promise<Secret<Buffer>> => {
      await requireReached(this.#inside.store.db, reach, 'connections', connectionId)
      return await this.read(connectionId)
    }
    return { read }
  }

  async destroy(reach: Reach, connectionId: string, work: (tx: Tx) => Promise<void>): Promise<void> {
    const { store, entries } = this.#inside
    const written = await guarded(`The data keys of ${connectionId} could not be destroyed`, () =>
      store.transaction(async (tx) => {
        await requireReached(tx, reach, 'connections', connectionId)
        const destroyed = await entries.destroy(tx, connectionId)
        await work(tx)
        return destroyed
      }),
    )
    if (written) await this.#remember(written)
    this.#mustEmptyLog = !(await store.emptyLog())
  }

  deriveKey(label: string): Buffer {
    return this.#inside.ring.derive(label)
  }

  async verify(scope: Scope): Promise<VaultReport> {
    return await verifyVault(this.#inside, scope)
  }

  async run(scope: Scope): Promise<void> {
    // Now, so that nobody who reads has to wait for it.
    const look = this.#requireWhole().catch((error: unknown) =>
      scope.log.error({ error }, 'the vault gives no credential'),
    )
    await Promise.all([look, this.#inside.rotation.run(scope), this.#keepUp(scope)])
  }

  async #requireWhole(): Promise<void> {
    const { heads, store } = this.#inside
    this.#putBack ??= heads.audit(store)
    const look = this.#putBack
    const found = await guarded('The connections of the vault cannot be compared', () => look).catch(
      (error: unknown) => {
        // What kept it from looking may be gone the next time.
        if (this.#putBack === look) this.#putBack = undefined
        throw error
      },
    )
    if (found !== undefined)
      throw unavailable(
        `The database is not as the vault left it: ${found}. No credential is given, for it may not be the newest. Bring the newest ` +
          'database back; if this one is meant, say so: npm run anteroom -- vault accept',
      )
  }

  /** What could not be done when it was due. */
  async #keepUp(scope: Scope): Promise<void> {
    const { store, heads, mark } = this.#inside
    while (!scope.signal.aborted) {
      await mark
        .write(heads.sequence)
        .catch((error: unknown) => scope.log.warn({ error }, 'the mark of the vault could not be written'))
      if (this.#mustEmptyLog) this.#mustEmptyLog = !(await store.emptyLog().catch(() => false))
      await scope.clock.delay(this.#mustEmptyLog ? 1_000 : 10_000, scope.signal)
    }
  }

  async #remember(written: Written): Promise<void> {
    this.#inside.entries.remember(written)
    // It is committed: a mark that lags behind is caught up with, and nobody is told that it failed.
    await this.#inside.mark.write(written.sequence).catch(() => {})
  }

  async #open(session: SealingSession, sealed: string, key: SealingKeyPair): Promise<OpenedPayload> {
    const payload = await openSealedCredential(sealed, key.kid, key.privateKey)
    const isOurs = payload.sessionId === session.id && payload.provider === session.provider
    if (isOurs) return payload
    payload[Symbol.dispose]()
    throw invalid(payload.sessionId === session.id ? 'it names another provider' : 'it names another session')
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
