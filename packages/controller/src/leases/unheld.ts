import type { Scope } from '@anteroom/base'
import type { Slots } from '../host/host.ts'
import type { Db } from '../store/store.ts'

export interface Unheld {
  /** Ids. */
  readonly machines: readonly string[]
  /** Indices of network slots. */
  readonly slots: readonly number[]
}

export interface UnheldDeps {
  readonly db: Db
  readonly driver: { list(scope: Scope): Promise<string[]> }
  readonly slots: Pick<Slots, 'list'>
  /** Made ahead of need: no lease names them. */
  readonly slotsAhead: ReadonlySet<number>
}

/**
 * What this controller has on the host and no lease names. Leases are read after the host, so that what was made meanwhile has its
 * lease already (a lease is always written before its machine).
 */
export async function findUnheld({ db, driver, slots, slotsAhead }: UnheldDeps, scope: Scope): Promise<Unheld> {
  const [machines, indices] = await Promise.all([driver.list(scope), slots.list(scope)])
  const leases = await db.selectFrom('machines').select(['id', 'slot_index']).execute()
  const heldMachines = new Set(leases.map(({ id }) => id))
  const heldSlots = new Set(leases.map(({ slot_index }) => slot_index))
  return {
    machines: machines.filter((id) => !heldMachines.has(id)),
    slots: indices.filter((index) => !heldSlots.has(index) && !slotsAhead.has(index)),
  }
}
