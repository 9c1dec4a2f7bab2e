import type { Scope } from '@anteroom/base'
import type { SessionDeps } from './session-deps.ts'

/**
 * What this controller left on the host and no lease names: machines first, then the slots below them, then images that
 * nobody uses. Leases are read after
 * the host, so that what was made meanwhile has its lease already (a lease is always written before its machine).
 */
export async function sweepHost(
  deps: Pick<SessionDeps, 'driver' | 'slots' | 'leases' | 'images' | 'store' | 'log'>,
  scope: Scope,
): Promise<void> {
  const [machines, slots] = await Promise.all([deps.driver.list(scope), deps.slots.list(scope)])
  const leases = await deps.leases.all(deps.store.db)
  const leasedMachines = new Set(leases.map((lease) => lease.id))
  const leasedSlots = new Set(leases.map((lease) => lease.slot_index))
  for (const id of machines.filter((machine) => !leasedMachines.has(machine))) {
    deps.log.warn({ machine: id }, 'sweeping a machine that no session holds')
    await deps.driver.destroy(id, scope)
  }
  for (const index of slots.filter((slot) => !leasedSlots.has(slot))) {
    deps.log.warn({ slot: index }, 'sweeping a network slot that no session holds')
    await deps.slots.remove(deps.slots.at(index), scope)
  }
  await deps.images.collect(new Set(leases.map((lease) => lease.image_id)))
}
