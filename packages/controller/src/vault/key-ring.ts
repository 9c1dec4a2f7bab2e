import { createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { AppError, type Scope, Secret } from '@anteroom/base'
import type { Db, Row, Store, Tx } from '../store/store.ts'
import { deriveFrom, Envelope } from './envelope.ts'
import type { RootKey } from './key-file.ts'
import type { KeyProvider } from './key-provider.ts'

/**
 * What the vault's keys are for. `entries`: they wrap data keys, and are rotated. `heads`: it signs which version is the newest.
 * `derived`: from it come secrets that are not stored; rotated, no machine that runs could be reached any more.
 */
export type KeyPurpose = Row<'wrapping_keys'>['purpose']

export interface VaultKey {
  readonly id: string
  readonly purpose: KeyPurpose
  readonly bytes: Secret<Buffer>
}

/** The id follows from the key and its purpose: a key that is given back under another id, or for something else, is noticed. */
export const vaultKey = (purpose: KeyPurpose, bytes: Buffer): VaultKey => {
  const tag = Buffer.from(hkdfSync('sha256', bytes, '', `anteroom vault key id of ${purpose}`, 32))
  const id = `wk_${createHash('sha256').update(tag).digest('hex').slice(0, 16)}`
  return { id, purpose, bytes: new Secret(bytes) }
}

export const newVaultKey = (purpose: KeyPurpose): VaultKey => vaultKey(purpose, randomBytes(32))

/** The vault's keys, in the clear, for as long as the process lives. */
export class KeyRing {
  readonly #entries = new Map<string, Envelope>()
  readonly #heads: VaultKey
  readonly #derived: VaultKey
  #current: string

  constructor(keys: readonly VaultKey[], current: string) {
    for (const key of keys) if (key.purpose === 'entries') this.add(key)
    this.#current = current
    this.#heads = only(keys, 'heads')
    this.#derived = only(keys, 'derived')
    this.envelopeOf(current)
  }

  get current(): { readonly id: string; readonly envelope: Envelope } {
    return { id: this.#current, envelope: this.envelopeOf(this.#current) }
  }

  /** Of keys that wrapped before, and that something may still need. */
  get oldIds(): string[] {
    return [...this.#entries.keys()].filter((id) => id !== this.#current)
  }

  get heads(): Secret<Buffer> {
    return this.#heads.bytes
  }

  envelopeOf(id: string): Envelope {
    const envelope = this.#entries.get(id)
    if (!envelope) throw new Error(`it is wrapped under ${id}, and the vault has no such key`)
    return envelope
  }

  add({ id, bytes }: VaultKey): void {
    this.#entries.set(id, new Envelope(bytes))
  }

  use(id: string): void {
    this.envelopeOf(id)
    this.#current = id
  }

  forget(id: string): void {
    if (id !== this.#current) this.#entries.delete(id)
  }

  /** HKDF-Expand (RFC 5869, section 2.3) of one block. */
  derive(label: string): Buffer {
    return createHmac('sha256', this.#derived.bytes.expose())
      .update(`anteroom vault derived: ${label}`)
      .update(Buffer.of(1))
      .digest()
  }
}

const only = (keys: readonly VaultKey[], purpose: KeyPurpose): VaultKey => {
  const [key] = keys.filter((candidate) => candidate.purpose === purpose)
  if (!key) throw damaged(`the vault has lost its key for ${purpose}`)
  return key
}

/** The keys of a database that was encrypted directly under the root key, so that all that was made with them still works. */
export const keysOfOldRoot = ({ bytes }: RootKey): VaultKey[] => [
  vaultKey('entries', deriveFrom(bytes, 'wrapping key 1')),
  newVaultKey('heads'),
  // HKDF-Extract without salt (RFC 5869, section 2.2): what it expands to is what the root itself did.
  vaultKey('derived', createHmac('sha256', Buffer.alloc(32)).update(bytes.expose()).digest()),
]

export interface Providers {
  readonly current: KeyProvider
  /** What wrapped the keys until now, when the operator moves to another one. */
  readonly previous: KeyProvider | undefined
}

/** Every key of the rows, in the clear, and whether it was the previous provider that opened it. @throws AppError vault_unavailable */
export const unwrapKeys = async (rows: readonly Row<'wrapping_keys'>[], providers: Providers, scope: Scope) =>
  await Promise.all(
    rows.map(async (row) => {
      const found = await unwrap(row, providers, scope)
      return { row, ...found, isOld: found.by !== providers.current }
    }),
  )

/** Opens every key of the database; those that `previous` wrapped are wrapped anew. @throws AppError vault_unavailable */
export async function openKeys(
  rows: readonly Row<'wrapping_keys'>[],
  store: Store,
  providers: Providers,
  scope: Scope,
) {
  const opened = await unwrapKeys(rows, providers, scope)
  for (const { row, key, isOld } of opened) {
    if (!isOld) continue
    const wrapped = await wrapKey(key, providers.current, scope)
    await store.db.updateTable('wrapping_keys').set(wrapped).where('id', '=', row.id).execute()
  }
  const current = rows.find(({ purpose, state }) => purpose === 'entries' && state === 'current')
  if (!current) throw damaged('no key of the vault is the current one')
  return new KeyRing(
    opened.map(({ key }) => key),
    current.id,
  )
}

async function unwrap(row: Row<'wrapping_keys'>, { current, previous }: Providers, scope: Scope) {
  const open = async (by: KeyProvider) => ({ by, key: await unwrapKey(row, by, scope) })
  if (!previous) {
    if (row.provider !== current.kind)
      throw damaged(
        `the vault's keys were wrapped by ${row.provider} (${row.root_id}), and vault.key says ${current.kind}: ` +
          'name the one of before as vault.previous_key, and start once with both',
      )
    return await open(current)
  }
  return await open(current).catch(async (error: unknown) => {
    scope.throwIfOver()
    // Which of the two is to blame nobody knows; the one that should work is the one that is named.
    return await open(previous).catch(() => Promise.reject(error))
  })
}

async function unwrapKey(row: Omit<Row<'wrapping_keys'>, 'created_at' | 'state'>, by: KeyProvider, scope: Scope) {
  const bytes = await by.unwrap({ wrapped: row.wrapped, rootId: row.root_id }, nameOf(row), scope)
  const key = vaultKey(row.purpose, bytes.expose())
  if (key.id !== row.id) throw damaged(`${by.where} gave back another key than the one that it wrapped as ${row.id}`)
  return key
}

/** What a provider wrapped is only believed once it has given it back: a key that is lost here takes everything along. */
async function wrapKey({ id, purpose, bytes }: VaultKey, provider: KeyProvider, scope: Scope) {
  const { wrapped, rootId } = await provider.wrap(bytes, nameOf({ id, purpose }), scope)
  const columns = { wrapped, root_id: rootId, provider: provider.kind }
  await unwrapKey({ id, purpose, ...columns }, provider, scope)
  return columns
}

/** Rows of new keys. Wrapping may take a program its time: it is done before the transaction. */
export async function wrapKeys(keys: readonly VaultKey[], provider: KeyProvider, scope: Scope, now: number) {
  return await Promise.all(
    keys.map(async (key) => ({
      ...{ id: key.id, purpose: key.purpose, state: 'current' as const, created_at: now },
      ...(await wrapKey(key, provider, scope)),
    })),
  )
}

export const readKeys = (db: Db): Promise<Row<'wrapping_keys'>[]> =>
  db.selectFrom('wrapping_keys').selectAll().execute()

/** Which keys open anything that is stored. */
export async function usedKeyIds(db: Db | Tx): Promise<string[]> {
  const rows = await db
    .selectFrom('credentials')
    .select('wrapping_key_id')
    .union(db.selectFrom('sealing_keys').select('wrapping_key_id'))
    .execute()
  return rows.map((row) => row.wrapping_key_id)
}

const nameOf = ({ purpose, id }: Pick<VaultKey, 'purpose' | 'id'>): string => `${purpose}/${id}`

const damaged = (detail: string): AppError => new AppError('vault_unavailable', { detail })
