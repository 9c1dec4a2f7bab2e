import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newId, type Scope, systemClock } from '@anteroom/base'
import { defaultProjectId, type SealedPayload, type SealingKey } from '@anteroom/contract'
import { CompactEncrypt, importJWK } from 'jose'
import { sql } from 'kysely'
import { sampleSummary, sampleTokens } from '../../test/sample-credential.ts'
import { testAudit } from '../../test/test-audit.ts'
import { openStore, type Store } from '../store/store.ts'
import { openVault, type SealingSession, type Vault, type VaultParts } from './vault.ts'

/** A vault over a database on disk, and what a guest would seal for it. */
export class TestVault {
  readonly home: string
  store!: Store
  vault!: Vault
  #parts: Partial<VaultParts> = {}

  private constructor(home: string) {
    this.home = home
  }

  static async open(parts: Partial<VaultParts> = {}): Promise<TestVault> {
    return await TestVault.at(await mkdtemp(join(tmpdir(), 'anteroom-vault-')), parts)
  }

  /** That of a directory which is there already. */
  static async at(home: string, parts: Partial<VaultParts> = {}): Promise<TestVault> {
    const test = new TestVault(home)
    await test.reopen(parts)
    return test
  }

  get database(): string {
    return join(this.home, 'anteroom.sqlite')
  }

  get keyFile(): string {
    return join(this.home, 'vault.key')
  }

  /** As a new process does. */
  async reopen(parts: Partial<VaultParts> = this.#parts): Promise<Vault> {
    this.#parts = parts
    await this.store?.close()
    this.store = await openStore(this.database)
    // A thousand commits of a test need not survive a power cut.
    await sql`pragma synchronous = off`.execute(this.store.db)
    this.vault = await openVault({
      keyFile: this.keyFile,
      store: this.store,
      clock: systemClock,
      audit: testAudit({ store: this.store }),
      ...parts,
    })
    return this.vault
  }

  async close(): Promise<void> {
    await this.store.close()
    await rm(this.home, { recursive: true })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Lets the loop run until the rotation that was asked for is over. */
  async rotate(scope: Scope): Promise<void> {
    const running = this.vault.run(scope)
    await scope.until(async () => ((await this.vault.rotation.newest())?.status === 'completed' ? true : undefined), 5)
    scope.cancel()
    await running
  }

  newSession(subject?: string, connectionId?: string): Promise<SealingSession> {
    return newSession(this.store, subject, connectionId)
  }

  async sealed(session: SealingSession, token: string): Promise<string> {
    const payload: SealedPayload = {
      ...{ session_id: session.id, provider: session.provider, captured_at: '2026-11-20T10:00:00.000Z' },
      value: { ...sampleTokens, access_token: token },
    }
    return await seal(payload, await this.vault.sealingKey(session.id))
  }

  /** Stores a credential, and gives its connection. */
  async keep(token: string, connectionId?: string, subject?: string): Promise<string> {
    const session = await this.newSession(subject, connectionId)
    await this.vault.store(session, await this.sealed(session, token), sampleSummary)
    return session.connectionId
  }
}

export async function seal(content: unknown, key: SealingKey, header: object = {}): Promise<string> {
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  return await new CompactEncrypt(new TextEncoder().encode(text))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: key.kid, ...header })
    .encrypt(await importJWK(key, 'ECDH-ES'))
}

/** A session that will sign in; for the connection that is named, or for a new one. */
export async function newSession(
  { db }: Store,
  subject = newId('session'),
  connectionId?: string,
): Promise<SealingSession> {
  const id = connectionId ?? newId('connection')
  const row = { id, project_id: defaultProjectId, provider: 'demo', subject, version: 0, created_at: 1, updated_at: 1 }
  if (!connectionId) await db.insertInto('connections').values(row).execute()
  return { id: newId('session'), provider: 'demo', connectionId: id }
}
