import type { Clock, Scope } from '@anteroom/base'
import type { VaultRotation } from '@anteroom/contract'
import type { Audit } from '../audit/audit.ts'
import type { Row, Store, Tx } from '../store/store.ts'
import type { CredentialEntries } from './credential-entries.ts'
import type { KeyProvider } from './key-provider.ts'
import { type KeyRing, newVaultKey, wrapKeys } from './key-ring.ts'
import type { SealingKeys } from './sealing-keys.ts'

/** So many entries are wrapped anew in one transaction: a few milliseconds, between which everybody else has their turn. */
const batch = 50

const againMs = 10_000
/** A request wakes it: this is for what nobody asked for, entries in an old form. */
const idleMs = 3_600_000

export interface RotationParts {
  readonly store: Store
  readonly clock: Clock
  readonly audit: Pick<Audit, 'record'>
  readonly ring: KeyRing
  readonly provider: KeyProvider
  readonly entries: CredentialEntries
  readonly sealingKeys: SealingKeys
}

/**
 * A new wrapping key takes over from the one before: what is new is wrapped under it at once, what is old in batches, and when
 * nothing needs the old one it is destroyed. All that it knows is in rows: it may die anywhere, and goes on at the next start.
 */
export class Rotation {
  readonly #parts: RotationParts
  #wake = Promise.withResolvers<void>()

  constructor(parts: RotationParts) {
    this.#parts = parts
  }

  /** Writes down that it is wanted; the one that runs already, if one does. */
  async request(): Promise<VaultRotation> {
    const { store, clock, audit } = this.#parts
    await store.transaction(async (tx) => {
      await audit.record(tx, { action: 'vault.rotation_asked', target: { kind: 'vault', id: null } })
      if (await running(tx)) return
      await tx.insertInto('vault_rotations').values({ requested_at: clock.now(), total: 0, unreadable: 0 }).execute()
    })
    this.#wake.resolve()
    const newest = await this.newest()
    if (!newest) throw new Error('a rotation that was written is not there')
    return newest
  }

  async newest(): Promise<VaultRotation | undefined> {
    const { db } = this.#parts.store
    const row = await db.selectFrom('vault_rotations').selectAll().orderBy('id', 'desc').limit(1).executeTakeFirst()
    return row && this.#describe(row)
  }

  /** Until `scope` is over. What fails is tried again; the rows stay as they are. */
  async run(scope: Scope): Promise<void> {
    while (!scope.signal.aborted) {
      this.#wake = Promise.withResolvers<void>()
      const restMs = await this.finish(scope).then(
        () => idleMs,
        (error: unknown) => {
          if (!scope.signal.aborted)
            scope.log.error({ error }, 'the rotation of the wrapping key waits, and is tried again')
          return againMs
        },
      )
      const rest = new AbortController()
      await Promise.race([scope.clock.delay(restMs, AbortSignal.any([scope.signal, rest.signal])), this.#wake.promise])
      rest.abort('woken')
    }
  }

  /** All that there is to do. Stops between two batches when the scope is over. */
  async finish(scope: Scope): Promise<void> {
    await this.#renewOldForms(scope)
    const { store } = this.#parts
    const row = await running(store.db)
    if (!row) return
    scope.throwIfOver()
    if (row.to_key_id === null) await this.#begin(row.id, scope)
    while (await store.transaction((tx) => this.#rewrapSome(tx, row.id))) scope.throwIfOver()
    await this.#end(row.id)
    scope.log.info({ key: this.#parts.ring.current.id }, 'the wrapping key was rotated')
  }

  /** Entries of before bindings had owners are encrypted anew, rotation or not. */
  async #renewOldForms(scope: Scope): Promise<void> {
    const { store, entries } = this.#parts
    while ((await store.transaction((tx) => entries.renewOldForms(tx, batch))).some) scope.throwIfOver()
  }

  async #begin(id: number, scope: Scope): Promise<void> {
    const { store, clock, ring, provider } = this.#parts
    const key = newVaultKey('entries')
    const wrapped = await wrapKeys([key], provider, scope, clock.now())
    ring.add(key)
    await store.transaction(async (tx) => {
      await tx.updateTable('wrapping_keys').set({ state: 'retiring' }).where('purpose', '=', 'entries').execute()
      await tx.insertInto('wrapping_keys').values(wrapped).execute()
      const total = await countUnder(tx, ring.oldIds.concat(ring.current.id))
      await tx.updateTable('vault_rotations').set({ to_key_id: key.id, total }).where('id', '=', id).execute()
    })
    ring.use(key.id)
  }

  /** @returns whether there was anything to do */
  async #rewrapSome(tx: Tx, id: number): Promise<boolean> {
    const { entries, sealingKeys } = this.#parts
    const renewed = [await entries.rewrapOthers(tx, batch), await sealingKeys.rewrapOthers(tx, batch)]
    const lost = renewed.reduce((sum, each) => sum + each.lost, 0)
    if (lost > 0)
      await tx
        .updateTable('vault_rotations')
        .set((eb) => ({ unreadable: eb('unreadable', '+', lost) }))
        .where('id', '=', id)
        .execute()
    return renewed.some(({ some }) => some)
  }

  /** The keys that nothing needs any more are overwritten before their rows go, as data keys are. */
  async #end(id: number): Promise<void> {
    const { store, clock, ring } = this.#parts
    const gone = await store.transaction(async (tx) => {
      if ((await countUnder(tx, ring.oldIds)) > 0) throw new Error('something is still wrapped under an old key')
      const retired = tx
        .updateTable('wrapping_keys')
        .where('state', '=', 'retiring')
        .set({ wrapped: '0'.repeat(80) })
      const ids = (await retired.returning('id').execute()).map((row) => row.id)
      await tx.deleteFrom('wrapping_keys').where('state', '=', 'retiring').execute()
      await tx.updateTable('vault_rotations').set({ completed_at: clock.now() }).where('id', '=', id).execute()
      return ids
    })
    for (const old of gone) ring.forget(old)
    await store.emptyLog()
  }

  async #describe(row: Row<'vault_rotations'>): Promise<VaultRotation> {
    const { store, ring } = this.#parts
    const isOver = row.completed_at !== null
    const left = isOver || row.to_key_id === null ? 0 : await countUnder(store.db, ring.oldIds)
    return {
      status: isOver ? 'completed' : 'running',
      key_id: row.to_key_id,
      total: row.total,
      // What came in between under the old key may add to what is left.
      done: row.to_key_id === null ? 0 : Math.max(0, row.total - left),
      unreadable: row.unreadable,
      requested_at: new Date(row.requested_at).toISOString(),
      completed_at: row.completed_at === null ? null : new Date(row.completed_at).toISOString(),
    }
  }
}

const running = (db: Store['db']): Promise<Row<'vault_rotations'> | undefined> =>
  db.selectFrom('vault_rotations').selectAll().where('completed_at', 'is', null).executeTakeFirst()

async function countUnder(db: Store['db'], keyIds: readonly string[]): Promise<number> {
  const count = async (table: 'credentials' | 'sealing_keys'): Promise<number> => {
    const all = db.selectFrom(table).select((eb) => eb.fn.countAll<number>().as('n'))
    return (await all.where('wrapping_key_id', 'in', keyIds).executeTakeFirstOrThrow()).n
  }
  return (await count('credentials')) + (await count('sealing_keys'))
}
