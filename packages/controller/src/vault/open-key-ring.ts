import { AppError, type Clock, type Scope } from '@anteroom/base'
import type { Store } from '../store/store.ts'
import { Heads, writeFirstHeads } from './heads.ts'
import { type KeyProvider, type KeyProviderSettings, openKeyProvider } from './key-provider.ts'
import {
  KeyRing,
  keysOfOldRoot,
  newVaultKey,
  openKeys,
  type Providers,
  readKeys,
  usedKeyIds,
  type VaultKey,
  wrapKeys,
} from './key-ring.ts'

export interface RingParts {
  /** Where the key file of the state directory lies; the vault's mark lies beside it. */
  readonly keyFile: string
  /** Who holds the root key; the key file, when nothing is said. */
  readonly key?: KeyProviderSettings
  readonly previousKey?: KeyProviderSettings | undefined
  readonly env?: NodeJS.ProcessEnv
  readonly store: Store
  readonly clock: Clock
}

export interface OpenedRing {
  readonly ring: KeyRing
  readonly provider: KeyProvider
}

/**
 * The vault's keys: those of the database, those that follow from the root key when the database is of the time when it encrypted
 * everything itself, or new ones when nothing has been encrypted yet.
 * @throws AppError vault_unavailable
 */
export async function openKeyRing(parts: RingParts, scope: Scope): Promise<OpenedRing> {
  const { store } = parts
  const [rows, used] = await Promise.all([readKeys(store.db), usedKeyIds(store.db)])
  const providers = await openProviders(parts, rows.length === 0 && used.length === 0)
  const { current: provider, previous } = providers
  if (rows.length > 0) return { ring: await openKeys(rows, store, providers, scope), provider }
  const oldRoot = (await isOfOldRoot(store, used)) ? rootOf(previous ?? provider, used) : undefined
  const keys = oldRoot ? keysOfOldRoot(oldRoot) : (['entries', 'heads', 'derived'] as const).map(newVaultKey)
  return { ring: await begin(keys, used, provider, parts, scope), provider }
}

/** `isNew`: nothing has been encrypted yet, and a root key may be made. @throws AppError vault_unavailable */
export async function openProviders(parts: Omit<RingParts, 'store' | 'clock'>, isNew: boolean): Promise<Providers> {
  const { key = { provider: 'file' as const }, previousKey, keyFile, env = process.env } = parts
  const open = (settings: KeyProviderSettings, mayCreate: boolean) =>
    openKeyProvider({ settings, keyFile, env, mayCreate })
  return { current: await open(key, isNew && !previousKey), previous: previousKey && (await open(previousKey, false)) }
}

/** A machine that runs knows secrets that were derived from the root, though nothing may have been encrypted yet. */
async function isOfOldRoot({ db }: Store, used: readonly string[]): Promise<boolean> {
  if (used.length > 0) return true
  return (await db.selectFrom('machines').select('id').limit(1).executeTakeFirst()) !== undefined
}

function rootOf(provider: KeyProvider, used: readonly string[]) {
  const { root, where } = provider
  const owner = used.length === 0 ? 'the root key of vault.key' : used.join(', ')
  if (!root)
    throw unavailable(
      `The database is of an earlier version and was encrypted with ${owner}; ${where} cannot tell that key. ` +
        'Name the key file as vault.previous_key, and start once with both.',
    )
  const foreign = used.filter((id) => id !== root.id)
  if (foreign.length > 0)
    throw unavailable(
      `${where} holds key ${root.id}, but the database was encrypted with ${foreign.join(', ')}. ` +
        'Restore the key that belongs to this database.',
    )
  return root
}

/** All in one transaction: a crash leaves the database as it was before, or with everything. */
async function begin(
  keys: VaultKey[],
  used: readonly string[],
  provider: KeyProvider,
  parts: RingParts,
  scope: Scope,
): Promise<KeyRing> {
  const { store, clock } = parts
  const rows = await wrapKeys(keys, provider, scope, clock.now())
  const current = keys.find(({ purpose }) => purpose === 'entries')?.id ?? ''
  const ring = new KeyRing(keys, current)
  const heads = new Heads(ring.heads)
  const isFirst = await store.transaction(async (tx) => {
    // Of two that begin at once the first one's keys are the vault's.
    if ((await readKeys(tx)).length > 0) return false
    await tx.insertInto('wrapping_keys').values(rows).execute()
    for (const table of ['credentials', 'sealing_keys'] as const)
      if (used.length > 0)
        await tx.updateTable(table).set({ wrapping_key_id: current }).where('wrapping_key_id', 'in', used).execute()
    await writeFirstHeads(tx, heads)
    await heads.accept(tx, 1)
    return true
  })
  return isFirst ? ring : (await openKeyRing(parts, scope)).ring
}

const unavailable = (detail: string): AppError => new AppError('vault_unavailable', { detail })
