import type { Scope } from '@anteroom/base'
import { findUnheld } from '../leases/leases.ts'
import type { SessionDeps } from './session-deps.ts'

type SweepDeps = Pick<
  SessionDeps,
  'driver' | 'slots' | 'leases' | 'pool' | 'images' | 'snapshots' | 'evidence' | 'store' | 'log' | 'clock' | 'metrics'
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

/** What nobody holds: machines first, then the slots below them, then images, snapshots and evidence that nobody uses. */
export async function sweepHost(deps: SweepDeps, scope: Scope): Promise<void> {
  const { driver, slots, leases, pool, store, log, metrics } = deps
  const unheld = await findUnheld({ db: store.db, driver, slots, slotsAhead: pool.slotsAhead }, scope)
  for (const id of unheld.machines) {
    log.warn({ machine: id }, 'sweeping a machine that no session holds')
    await driver.destroy(id, scope)
    metrics.leftoverSwept('machine')
  }
  for (const index of unheld.slots)
    await leases.whileFree(index, async () => {
      // Asked again: the pool may have found it whole since the list was read.
      if (pool.slotsAhead.has(index)) return
      log.warn({ slot: index }, 'sweeping a network slot that no session holds')
      await slots.remove(slots.at(index), scope)
      metrics.leftoverSwept('slot')
    })
  const held = await leases.all(store.db)
  await deps.images.collect(new Set(held.map((lease) => lease.image_id)))
  await deps.evidence.collect()
  await deps.snapshots.collect(new Set(held.flatMap((lease) => lease.snapshot_id ?? [])))
}
