import type { Scope } from '@anteroom/base'
import type { SessionDeps } from './session-deps.ts'

type SweepDeps = Pick<
  SessionDeps,
  'driver' | 'slots' | 'leases' | 'pool' | 'images' | 'snapshots' | 'evidence' | 'store' | 'log' | 'clock'
>

const everyMs = 60_000

/**
 * Sweeps the host every minute. The first time `ifDue` resolves when it is done: what a crash left must not be in the way of a new
 * machine. Later ones go on beside: no session waits for them.
 */
export function createSweep(deps: SweepDeps, scope: Scope): { ifDue(): Promise<void>; done(): Promise<void> } {
  let sweptAt: number | undefined
  let sweeping: Promise<void> | undefined
  return {
    async ifDue() {
      if (sweptAt === undefined) {
        await sweepHost(deps, scope)
        sweptAt = deps.clock.monotonic()
      }
      if (sweeping || deps.clock.monotonic() - sweptAt < everyMs) return
      sweptAt = deps.clock.monotonic()
      sweeping = sweepHost(deps, scope)
        .catch((error: unknown) => {
          if (!scope.signal.aborted) deps.log.error({ error }, 'this sweep failed; the next one tries again')
        })
        .finally(() => {
          sweeping = undefined
        })
    },
    done: async () => await sweeping,
  }
}

/**
 * What this controller left on the host and no lease names: machines first, then the slots below them, then images, snapshots
 * and evidence that nobody uses. Leases are read after the host, so that what was made meanwhile has its lease already (a lease is always
 * written before its machine). Slots that are made ahead have none; the pool knows them.
 */
export async function sweepHost(deps: SweepDeps, scope: Scope): Promise<void> {
  const [machines, slots] = await Promise.all([deps.driver.list(scope), deps.slots.list(scope)])
  const leases = await deps.leases.all(deps.store.db)
  const leasedMachines = new Set(leases.map((lease) => lease.id))
  const leasedSlots = new Set(leases.map((lease) => lease.slot_index))
  for (const id of machines.filter((machine) => !leasedMachines.has(machine))) {
    deps.log.warn({ machine: id }, 'sweeping a machine that no session holds')
    await deps.driver.destroy(id, scope)
  }
  for (const index of slots.filter((slot) => !leasedSlots.has(slot)))
    await deps.leases.whileFree(index, async () => {
      // Asked now: the pool may have found it whole since the list was read.
      if (deps.pool.slotsAhead.has(index)) return
      deps.log.warn({ slot: index }, 'sweeping a network slot that no session holds')
      await deps.slots.remove(deps.slots.at(index), scope)
    })
  await deps.images.collect(new Set(leases.map((lease) => lease.image_id)))
  await deps.evidence.collect()
  await deps.snapshots.collect(new Set(leases.flatMap((lease) => lease.snapshot_id ?? [])))
}
