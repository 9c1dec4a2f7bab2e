/**
 * Where sessions get their machines: restored ones that wait, paused, for whoever comes next; where there is none, a new one on a
 * slot that was made ahead.
 */
import { AppError, type Scope } from '@anteroom/base'
import type { Capacity, PoolStatus } from '@anteroom/contract'
import type { Lease } from '../leases/leases.ts'
import type { Tx } from '../store/store.ts'
import { Demand } from './demand.ts'
import { createFiller } from './filler.ts'
import { leastRoom, roomOf } from './headroom.ts'
import { createMachineMaker, type MachineMaker } from './machine-maker.ts'
import type { Offer, PoolDeps } from './pool-deps.ts'
import { assign, poolMachines, sessionCounts } from './pool-rows.ts'
import { createSlotsAhead } from './slots-ahead.ts'

export { roomOf } from './headroom.ts'
export { fitToMemory } from './memory-plan.ts'
export type { Offer, PoolDeps } from './pool-deps.ts'

export interface Pool extends Pick<MachineMaker, 'connect' | 'provide' | 'dispose'> {
  /**
   * Looked up before the transaction that takes it.
   * @throws AppError image_missing, image_corrupt, agent_incompatible, insufficient_memory, insufficient_cpu, disk_full
   */
  offer(scope: Scope): Promise<Offer>
  /** In the transaction that admits a session: the oldest warm machine of the offer, else a free slot. @throws AppError ip_pool_exhausted */
  take(tx: Tx, offer: Offer, sessionId: string): Promise<Lease>
  status(): Promise<PoolStatus>
  /** How many machines of sessions this host takes, measured now. */
  capacity(): Promise<Capacity>
  /** Slots that no lease names and that are wanted nevertheless. */
  readonly slotsAhead: ReadonlySet<number>
  /** Something happened to a session: there may be something to do, or nothing in the way any more. */
  kick(): void
  /** A machine is ready or a slot is free again. Called back until the returned function is called. */
  onRoom(listener: () => void): () => void
  /** Fills and drains until `scope` is over. What waits stays, for the next controller. */
  run(scope: Scope): Promise<void>
}

export function createPool(deps: PoolDeps): Pool {
  const { store, config, leases, images, snapshots, clock } = deps
  const ahead = createSlotsAhead({ ...deps, wanted: config.pool.slots_ahead })
  const maker = createMachineMaker(deps, ahead)
  const demand = new Demand(config.pool, clock)
  const filler = createFiller(deps, { ahead, maker, demand })

  return {
    connect: maker.connect,
    provide: maker.provide,
    dispose: maker.dispose,

    async offer(scope) {
      const image = await images.current()
      const [snapshot, host] = await Promise.all([snapshots.of(image, scope), deps.measureHost()])
      const lacking = Object.values(roomOf(config, host)).find(({ more }) => more < 1)
      if (lacking) throw new AppError(lacking.code, { detail: lacking.detail })
      return { image, snapshot }
    },

    async take(tx, { image, snapshot }, sessionId) {
      demand.note()
      for (const lease of await poolMachines(tx)) {
        // The snapshot stands for the image, the monitor, and the machine's shape as well.
        const isOfNow = lease.snapshot_id === snapshot?.id && leases.isPlaced(lease)
        const taken = isOfNow ? await assign(tx, lease.id, sessionId) : undefined
        if (taken) return taken
        // Nobody can use it, or nobody can yet; its slot may be wanted.
        filler.kick()
      }
      return await leases.take(tx, {
        ...{ sessionId, imageId: image.id, snapshotId: snapshot?.id ?? null, accelerator: deps.accelerator },
        ...{ now: clock.now(), preferred: ahead.indices },
      })
    },

    async status() {
      const machines = await poolMachines(store.db)
      const { size, floor, ceiling } = config.pool
      const wanted = demand.wanted((await sessionCounts(store.db)).queued)
      const ready = machines.filter((lease) => lease.ready_at !== null).length
      return {
        size,
        floor: size === 'auto' ? floor : size,
        ceiling: size === 'auto' ? ceiling : size,
        ...{ wanted, ready, filling: machines.length - ready },
        reason: ready < wanted ? filler.reason() : null,
        snapshot: snapshots.status(),
      }
    },

    async capacity() {
      const { queued, running } = await sessionCounts(store.db)
      const { max_machines, max_queued } = config.limits
      const { more, ...bound_by } = leastRoom(config, await deps.measureHost(), { running, addresses: deps.slots.size })
      return { max_machines, running, more: Math.max(0, more), bound_by, queued, max_queued }
    },

    slotsAhead: ahead.indices,
    kick: filler.kick,
    onRoom: filler.onRoom,
    run: filler.run,
  }
}
