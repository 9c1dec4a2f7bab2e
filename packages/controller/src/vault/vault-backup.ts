import { rm } from 'node:fs/promises'
import { AppError, parseJson, type Scope } from '@anteroom/base'
import { z } from 'zod'
import type { Db, Store, Tx } from '../store/store.ts'
import { type BackupLock, readLocked, writeLocked } from './backup-file.ts'
import { Heads } from './heads.ts'
import type { KeyProvider } from './key-provider.ts'
import { KeyRing, newVaultKey, readKeys, unwrapKeys, type VaultKey, vaultKey, wrapKeys } from './key-ring.ts'
import { openKeyRing, openProviders, type RingParts } from './open-key-ring.ts'
import { markPathOf, VaultMark } from './vault-mark.ts'
import { verifyVault } from './verify.ts'

/** What is carried, each table after those that it refers to. */
const tables = ['projects', 'connections', 'credentials'] as const
type Table = (typeof tables)[number]

const row = z.record(z.string(), z.union([z.string(), z.number(), z.null()]))
const line = z.union([
  z.strictObject({ format: z.literal('anteroom-vault-backup-1'), made_at: z.iso.datetime() }),
  z.strictObject({
    key: z.strictObject({
      id: z.string(),
      purpose: z.enum(['entries', 'heads']),
      state: z.enum(['current', 'retiring']),
      bytes: z.base64(),
    }),
  }),
  z.strictObject({ table: z.enum(tables), row }),
  z.strictObject({ end: z.record(z.enum(tables), z.int()), sequence: z.int() }),
])

export type BackupCounts = Record<Table, number>

export interface BackupFile {
  readonly path: string
  readonly lock: BackupLock
}

/** A key, and whether new entries are wrapped under it. */
type CarriedKey = VaultKey & { readonly state: 'current' | 'retiring' }

/**
 * Connections, credentials as they lie in the database, and the keys that they need, in one locked file. From one state of the
 * database, beside whoever writes to it.
 * @throws AppError vault_unavailable, config_invalid
 */
export async function backUpVault(
  parts: Omit<RingParts, 'store'> & { readonly store: Pick<Store, 'db'> },
  { path, lock }: BackupFile,
  scope: Scope,
): Promise<BackupCounts> {
  const counts: BackupCounts = { projects: 0, connections: 0, credentials: 0 }
  const providers = await openProviders(parts, false)
  await parts.store.db.transaction().execute(async (tx) => {
    const keys = await unwrapKeys(await readKeys(tx), providers, scope)
    const state = await tx.selectFrom('vault_state').select('sequence').executeTakeFirstOrThrow()
    async function* lines(): AsyncGenerator<string> {
      yield JSON.stringify({ format: 'anteroom-vault-backup-1', made_at: new Date(parts.clock.now()).toISOString() })
      // What machines that run are reached by is of no use elsewhere.
      for (const { row: stored, key } of keys)
        if (key.purpose !== 'derived')
          yield JSON.stringify({
            key: {
              id: key.id,
              purpose: key.purpose,
              state: stored.state,
              bytes: key.bytes.expose().toString('base64'),
            },
          })
      for (const table of tables)
        for await (const stored of rowsOf(tx, table)) {
          scope.throwIfOver()
          counts[table]++
          yield JSON.stringify({ table, row: stored })
        }
      yield JSON.stringify({ end: counts, sequence: state.sequence })
    }
    await writeLocked(path, lock, lines())
  })
  return counts
}

async function* rowsOf(db: Db, table: Table) {
  for (let after = ''; ; ) {
    const page = await db.selectFrom(table).selectAll().where('id', '>', after).orderBy('id').limit(200).execute()
    yield* page
    const last = page.at(-1)
    if (!last) return
    after = last.id
  }
}

/**
 * Brings a backup into a state directory that has no connections yet, under the root key of that directory. All or nothing: what is
 * wrong with the file, or does not open, leaves everything as it was.
 * @throws AppError vault_unavailable
 */
export async function restoreVault(parts: RingParts, { path, lock }: BackupFile, scope: Scope): Promise<BackupCounts> {
  const { store, clock } = parts
  if (await store.db.selectFrom('connections').select('id').limit(1).executeTakeFirst())
    throw refused('this state directory has connections already. Restore into a new one')
  const { provider } = await openKeyRing(parts, scope)
  const markPath = markPathOf(parts.keyFile)
  const keys: CarriedKey[] = []
  const restored = await store
    .transaction(async (tx) => {
      const { counts, sequence } = await readInto(tx, readLocked(path, lock), keys, scope)
      const current = keys.find(({ purpose, state }) => purpose === 'entries' && state === 'current')
      const headsKey = keys.find(({ purpose }) => purpose === 'heads')
      if (!current || !headsKey) throw new Error('a key is missing in it')
      await takeKeys(tx, keys, provider, scope, clock.now())
      const heads = new Heads(headsKey.bytes)
      const own = await tx.selectFrom('vault_state').select('sequence').executeTakeFirst()
      const next = await heads.accept(tx, Math.max(sequence, own?.sequence ?? 0) + 1)
      const ring = new KeyRing([...keys, newVaultKey('derived')], current.id)
      const report = await verifyVault({ store: { db: tx, transaction: (work) => work(tx) }, ring, heads }, scope)
      if (report.unreadable.length > 0 || report.put_back !== null)
        throw new Error(`what is in it does not open: ${report.unreadable[0]?.why ?? report.put_back}`)
      // The mark was made with another key: from here to the new one there is none.
      await rm(markPath, { force: true })
      return { counts, next, heads }
    })
    .catch((error: unknown) => {
      scope.throwIfOver()
      if (error instanceof AppError) throw error
      throw refused(error instanceof Error ? error.message : 'it cannot be read', error)
    })
  await new VaultMark(markPath, restored.heads).write(restored.next)
  return restored.counts
}

async function readInto(tx: Tx, lines: AsyncIterable<string>, keys: CarriedKey[], scope: Scope) {
  const counts: BackupCounts = { projects: 0, connections: 0, credentials: 0 }
  let began = false
  let end: { counts: Partial<BackupCounts>; sequence: number } | undefined
  for await (const text of lines) {
    scope.throwIfOver()
    const parsed = line.safeParse(parseJson(text))
    if (!parsed.success || end || began === 'format' in parsed.data) throw new Error('it is no backup of a vault')
    const { data } = parsed
    if ('format' in data) began = true
    else if ('end' in data) end = { counts: data.end, sequence: data.sequence }
    else if ('key' in data) {
      const key = vaultKey(data.key.purpose, Buffer.from(data.key.bytes, 'base64'))
      if (key.id !== data.key.id) throw new Error('a key in it was changed')
      keys.push({ ...key, state: data.key.state })
    } else {
      counts[data.table]++
      const insert = tx.insertInto(data.table).values(data.row as never)
      // The default project is there already, and whatever others somebody made: they are the same by their ids.
      const known =
        data.table === 'projects' ? insert.onConflict((conflict) => conflict.column('id').doNothing()) : insert
      await known.execute()
    }
  }
  // The file says itself where it ends; this says that all of it was written.
  if (!end || tables.some((table) => end.counts[table] !== counts[table])) throw new Error('its end is missing')
  return { counts, sequence: end.sequence }
}

/** The directory's own wrapping key goes on for sessions that are open; what comes takes its place. */
async function takeKeys(
  tx: Tx,
  keys: readonly CarriedKey[],
  provider: KeyProvider,
  scope: Scope,
  now: number,
): Promise<void> {
  await tx.updateTable('wrapping_keys').set({ state: 'retiring' }).where('purpose', '=', 'entries').execute()
  await tx.deleteFrom('wrapping_keys').where('purpose', '=', 'heads').execute()
  const states = new Map(keys.map(({ id, state }) => [id, state]))
  const rows = await wrapKeys(keys, provider, scope, now)
  await tx
    .insertInto('wrapping_keys')
    .values(rows.map((each) => ({ ...each, state: states.get(each.id) ?? each.state })))
    .execute()
}

const refused = (why: string, cause?: unknown): AppError =>
  new AppError('vault_unavailable', { detail: `The backup was not restored, and nothing was changed: ${why}.`, cause })
