import { AppError, Scope } from '@anteroom/base'
import type { Lease } from '../leases/leases.ts'
import type { Demand } from './demand.ts'
import type { MachineMaker } from './machine-maker.ts'
import { type Basis, obstacle, offered, type Reason, reasonOf } from './obstacle.ts'
import type { PoolDeps } from './pool-deps.ts'
import { keepEvidence } from './pool-evidence.ts'
import { markReady, poolMachines, sessionCounts, withdraw } from './pool-rows.ts'
import type { SlotsAhead } from './slots-ahead.ts'

/** What waits is looked at this often, and everything else that no event tells of. */
const lookMs = 30_000
const fillMs = 30_000
/** Of four slots a tenth of a second; whoever stops a controller waits for it. */
const removalMs = 5_000

const backoffMs = (failures: number): number => Math.min(300_000, 1_000 * 2 ** failures)

/** Fills and drains the pool: one thing at a time, and nothing that a session would wait for. */
export interface Filler {
  kick(): void
  onRoom(listener: () => void): () => void
  /** Why it does not fill. */
  reason(): Reason
  run(scope: Scope): Promise<void>
}

interface FillerParts {
  readonly ahead: SlotsAhead
  readonly maker: MachineMaker
  readonly demand: Demand
}

export function createFiller(deps: PoolDeps, { ahead, maker, demand }: FillerParts): Filler {
  const { store, driver, leases, snapshots, clock, log } = deps
  const listeners = new Set<() => void>()
  let wake = Promise.withResolvers<void>()
  let why: Reason = { code: null, detail: 'the controller has just started' }
  let lookedAt = Number.NEGATIVE_INFINITY
  let failures = { count: 0, until: 0, last: undefined as Reason | undefined }

  const kick = (): void => wake.resolve()
  const backingOff = (): Reason | undefined => (failures.until > clock.monotonic() ? failures.last : undefined)
  const giveRoom = (): void => {
    for (const listener of listeners) listener()
  }

  /** Takes it out of the pool and away; false when a session was quicker. */
  async function retire(lease: Lease, because: string, scope: Scope): Promise<boolean> {
    if (!(await withdraw(store.db, lease.id))) return false
    log.info({ machine: lease.id, because }, 'a machine of the warm pool is taken down')
    await scope.run({ name: 'end of a pool machine', deadlineMs: fillMs }, (inner) => maker.dispose(lease, inner))
    await store.transaction((tx) => leases.release(tx, lease.id))
    giveRoom()
    return true
  }

  /** Every one of these; one that cannot be taken down now does not keep the others. */
  async function retireAll(unwanted: readonly (readonly [Lease, string])[], scope: Scope): Promise<boolean> {
    let changed = false
    for (const [lease, because] of unwanted)
      try {
        if (await retire(lease, because, scope)) changed = true
      } catch (error) {
        scope.throwIfOver()
        log.warn({ machine: lease.id, error }, 'a pool machine could not be taken down; trying again')
      }
    return changed
  }

  const unusable = (machines: readonly Lease[], snapshotId: string | undefined): (readonly [Lease, string])[] =>
    machines.flatMap((lease) => {
      // Nothing is being made now: it is what a crash, or a failure, left half made.
      if (lease.ready_at === null) return [[lease, 'it is not whole']]
      if (!leases.isPlaced(lease)) return [[lease, 'it is on a slot of an earlier configuration']]
      return lease.snapshot_id === snapshotId ? [] : [[lease, 'its snapshot is not current any more']]
    })

  /** Those that do not wait paused, as far as their monitors tell. */
  async function dead(machines: readonly Lease[], scope: Scope): Promise<(readonly [Lease, string])[]> {
    const found: (readonly [Lease, string])[] = []
    for (const lease of machines) {
      const state = await driver.inspect(lease.id, scope).catch(() => 'paused' as const)
      scope.throwIfOver()
      if (state === 'paused') continue
      // Taken meanwhile: then it may well run.
      if ((await poolMachines(store.db)).every(({ id }) => id !== lease.id)) continue
      deps.metrics.pooledMachineDied()
      log.warn(
        { machine: lease.id, state, ...(await keepEvidence(deps, lease, scope)) },
        'a warm machine died while it waited',
      )
      found.push([lease, `it is ${state}`])
    }
    return found
  }

  async function fill({ image, snapshot }: Basis, scope: Scope): Promise<void> {
    const startedAt = clock.monotonic()
    const { accelerator } = deps
    const lease = await store.transaction((tx) =>
      leases.take(tx, {
        ...{ sessionId: null, imageId: image.id, snapshotId: snapshot.id, accelerator },
        ...{ now: clock.now(), preferred: ahead.indices },
      }),
    )
    try {
      await scope.run({ name: 'filling the warm pool', deadlineMs: fillMs }, (inner) =>
        maker.restorePaused(lease, { image, snapshot }, inner),
      )
      await markReady(store.db, lease.id, clock.now())
      failures = { count: 0, until: 0, last: undefined }
      log.debug({ machine: lease.id, ms: Math.round(clock.monotonic() - startedAt) }, 'a warm machine waits')
      giveRoom()
    } catch (error) {
      // Its row stays: at the next look, or after the next start, it is found half made.
      scope.throwIfOver()
      log.warn(
        { machine: lease.id, error, ...(await keepEvidence(deps, lease, scope)) },
        'a warm machine could not be made',
      )
      if (AppError.from(error).code === 'snapshot_corrupt') snapshots.reject(snapshot.id, error)
      const count = failures.count + 1
      failures = { count, until: clock.monotonic() + backoffMs(count), last: reasonOf(error) }
    }
  }

  /** One look at everything; true when it changed something and another look is due at once. */
  async function look(scope: Scope): Promise<boolean> {
    const offer = await offered(deps, scope)
    const snapshotId = 'snapshot' in offer ? offer.snapshot.id : undefined
    const machines = await poolMachines(store.db)
    if (await retireAll(unusable(machines, snapshotId), scope)) return true
    if (clock.monotonic() - lookedAt >= lookMs) {
      if (await retireAll(await dead(machines, scope), scope)) return true
      lookedAt = clock.monotonic()
    }
    const wanted = demand.wanted((await sessionCounts(store.db)).queued)
    if (machines.length > wanted)
      return await retireAll(
        machines.slice(wanted).map((lease) => [lease, 'fewer are wanted'] as const),
        scope,
      )
    const against = (await obstacle(deps, machines.length)) ?? backingOff()
    why = 'code' in offer ? offer : (against ?? { code: null, detail: 'one more is being made' })
    if (against && against.code === null) return false
    if (machines.length < wanted && !against && 'snapshot' in offer) {
      await fill(offer, scope)
      return true
    }
    if (!(await ahead.refill(scope))) return false
    giveRoom()
    return true
  }

  const restMs = (): number => Math.min(lookMs, Math.max(0, failures.until - clock.monotonic()) || lookMs)

  return {
    kick,
    onRoom(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    reason: () => why,
    async run(scope) {
      const stopListening = snapshots.onChange(() => {
        failures = { count: 0, until: 0, last: undefined }
        kick()
      })
      // What waits already was wanted; how much came lately is not known any more.
      demand.note((await poolMachines(store.db)).filter((lease) => lease.ready_at !== null).length)
      while (!scope.signal.aborted) {
        wake = Promise.withResolvers<void>()
        try {
          if (await look(scope)) continue
        } catch (error) {
          if (scope.signal.aborted) break
          why = reasonOf(error)
          log.error({ error }, 'warm pool: this look failed; the next one tries again')
        }
        const rest = new AbortController()
        await Promise.race([wake.promise, clock.delay(restMs(), AbortSignal.any([scope.signal, rest.signal]))])
        rest.abort()
      }
      stopListening()
      await Scope.root('removal of the slots made ahead', log, clock)
        .run({ name: 'removal', deadlineMs: removalMs }, (inner) => ahead.removeAll(inner))
        .catch((error: unknown) => log.warn({ error }, 'slots that were made ahead stay; the next start sweeps them'))
    },
  }
}
