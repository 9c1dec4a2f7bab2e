import { AppError, type Scope } from '@anteroom/base'
import type { MachineOrigin } from '@anteroom/contract'
import type { ImageFiles } from '../images/images.ts'
import type { Lease } from '../leases/leases.ts'
import type { Machine, MachineSpec } from '../machines/driver.ts'
import type { SnapshotFiles } from '../snapshots/snapshots.ts'
import type { PoolDeps } from './pool-deps.ts'
import { keepEvidence } from './pool-evidence.ts'
import { note } from './pool-rows.ts'
import type { SlotsAhead } from './slots-ahead.ts'

/** A restore takes a fraction of a second; one that takes longer hangs, and booting is sooner. */
const restoreMs = 15_000
/** Where so many slots cannot be made, it is not the slot. */
const mostSlotsTried = 3

/** Makes leased machines, and takes them away. Each verb may be repeated after a crash at any line. */
export interface MachineMaker {
  /**
   * Makes its network slot, or another one where that cannot be made; gives the lease as it is then. A warm machine has had its own
   * since it was made.
   * @throws AppError network_setup_failed
   */
  connect(lease: Lease, scope: Scope): Promise<Lease>
  /** Makes a session's machine run, as quickly as it can be had: woken, restored or booted. */
  provide(lease: Lease, scope: Scope): Promise<MachineOrigin>
  /** Makes a machine that waits, paused. @throws AppError snapshot_corrupt, vmm_exited, network_setup_failed */
  restorePaused(lease: Lease, from: { image: ImageFiles; snapshot: SnapshotFiles }, scope: Scope): Promise<void>
  /** Resolves when machine and slot are absent. Its row is still there. */
  dispose(lease: Lease, scope: Scope): Promise<void>
}

export function createMachineMaker(deps: PoolDeps, ahead: SlotsAhead): MachineMaker {
  const { store, config, driver, leases, images, snapshots, metrics, log } = deps

  const specOf = (lease: Lease, image: ImageFiles): Omit<MachineSpec, 'snapshot' | 'wanted'> => ({
    ...{ id: lease.id, image, slot: leases.slotOf(lease) },
    ...{ memoryMiB: config.vmm.memory_mib, vcpus: config.vmm.vcpus },
  })

  /** false: it is not there any more as it was, and must be made anew on the same slot. */
  async function wake(lease: Lease, scope: Scope): Promise<boolean> {
    if (lease.ready_at === null) return false
    try {
      await driver.resume(lease.id, scope)
      return true
    } catch (error) {
      scope.throwIfOver()
      metrics.pooledMachineDied()
      const left = await keepEvidence(deps, lease, scope)
      log.warn({ ...about(lease), error, ...left }, 'a warm machine died while it waited; making it anew')
      // First of all: whoever goes on after a crash takes what then runs for what it is.
      await note(store.db, lease.id, { ready_at: null, created_at: deps.clock.now() })
      await driver.destroy(lease.id, scope)
      await deps.slots.prepare(leases.slotOf(lease), scope)
      return false
    }
  }

  async function restore(lease: Lease, image: ImageFiles, scope: Scope): Promise<Machine | undefined> {
    const snapshot = await snapshots.of(image, scope)
    if (!snapshot) return undefined
    await note(store.db, lease.id, { snapshot_id: snapshot.id })
    try {
      return await scope.run({ name: 'restore of the machine', deadlineMs: restoreMs }, (inner) =>
        driver.create({ ...specOf(lease, image), snapshot, wanted: 'running' }, inner),
      )
    } catch (error) {
      scope.throwIfOver()
      const { code } = AppError.from(error)
      const left = await keepEvidence(deps, lease, scope)
      log.warn(
        { ...about(lease), snapshot: snapshot.id, code, error, ...left },
        'a machine could not be restored; booting it',
      )
      if (code === 'snapshot_corrupt') snapshots.reject(snapshot.id, error)
      await driver.destroy(lease.id, scope)
      return undefined
    }
  }

  async function make(lease: Lease, scope: Scope): Promise<MachineOrigin> {
    const image = await images.get(lease.image_id)
    const machine =
      (await restore(lease, image, scope)) ??
      (await driver.create({ ...specOf(lease, image), snapshot: null, wanted: 'running' }, scope))
    if (machine.origin === 'booted') await note(store.db, lease.id, { snapshot_id: null })
    // One that was adopted may have been left paused.
    await driver.resume(lease.id, scope)
    return machine.origin
  }

  async function connect(lease: Lease, scope: Scope): Promise<Lease> {
    if (lease.ready_at !== null) return lease
    for (let placed = lease, tried = 1; ; tried++) {
      try {
        await ahead.prepare(leases.slotOf(placed), scope)
        return placed
      } catch (error) {
        scope.throwIfOver()
        if (AppError.from(error).code !== 'network_setup_failed' || tried === mostSlotsTried) throw error
        // One that runs was made on this slot before a crash, and cannot move.
        const next = (await driver.inspect(lease.id, scope)) === 'absent' ? await leases.moveOn(placed) : undefined
        if (!next) throw error
        log.warn({ machine: lease.id, slot: placed.slot_index, next: next.slot_index, error }, 'taking the next slot')
        placed = next
      }
    }
  }

  return {
    connect,
    async provide(lease, scope) {
      const origin = (await wake(lease, scope)) ? 'warm' : await make(lease, scope)
      await note(store.db, lease.id, { origin })
      log.info({ ...about(lease), origin, ip: lease.vm_ip }, 'a session has its machine')
      metrics.machineProvided(origin)
      return origin
    },
    async restorePaused(lease, { image, snapshot }, scope) {
      const placed = await connect(lease, scope)
      await driver.create({ ...specOf(placed, image), snapshot, wanted: 'paused' }, scope)
      const state = await driver.inspect(lease.id, scope)
      if (state !== 'paused') throw new AppError('vmm_exited', { detail: `restored, it is ${state}` })
    },
    async dispose(lease, scope) {
      await driver.destroy(lease.id, scope)
      // Given up meanwhile, the slot may be another's by now; nobody else ever has the machine.
      scope.throwIfOver()
      // Of a larger pool of addresses that was configured before: nobody can be given its slot.
      if (lease.slot_index < deps.slots.size) await ahead.remove(leases.slotOf(lease), scope)
    },
  }
}

const about = ({ id, session_id }: Lease): object => ({
  machine: id,
  ...(session_id !== null && { session: session_id }),
})
