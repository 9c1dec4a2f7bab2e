import type { Scope } from '@anteroom/base'
import type { MachineState } from '@anteroom/contract'
import type { Slot } from '../host/host.ts'
import type { ImageFiles } from '../images/images.ts'
import type { SnapshotFiles } from '../snapshots/snapshots.ts'

export type Accelerator = 'kvm' | 'tcg'

export interface Capabilities {
  /** First line of `--version`. */
  readonly version: string
  /** What a guest was seen running with on this host since it booted. */
  readonly accelerator: Accelerator
  /** Why KVM is not used, for the operator; null when it is. */
  readonly accelerationNote: string | null
}

export interface MachineSpec {
  readonly id: string
  readonly image: ImageFiles
  readonly slot: Slot
  readonly memoryMiB: number
  readonly vcpus: number
  /** Saved machine to restore; null: boot. */
  readonly snapshot: SnapshotFiles | null
  /** `paused`: restored, and not run before `resume`; only with a snapshot. */
  readonly wanted: 'running' | 'paused'
}

export interface Machine {
  readonly id: string
  readonly accelerator: Accelerator
  /** What this very machine did, also when it is adopted. */
  readonly origin: 'restored' | 'booted'
}

/** Why a machine is not running any more, for `vmm_exited` and `boot_failed`. */
export interface MachineEvidence {
  /** Tail of the serial console, at most 16 KiB. */
  readonly console: string
  /** Tail of the VMM's stderr, at most 16 KiB. */
  readonly vmm: string
}

/**
 * The seam between the controller and a virtual machine monitor. Every method is idempotent by machine id and may be
 * called again after a crash of the controller at any point.
 */
export interface MachineDriver {
  readonly name: 'qemu' | 'firecracker' | 'fake'
  /** Measured, not assumed. @throws AppError vmm_missing, kvm_required */
  capabilities(scope: Scope): Promise<Capabilities>
  /**
   * Restores or boots the machine on a prepared slot; resolves when the VMM runs its CPUs, or has them ready where `paused` is
   * wanted. Adopts it if it is there already, whatever state it is in.
   * @throws AppError vmm_exited, image_missing; snapshot_corrupt when the saved machine could not be loaded
   */
  create(spec: MachineSpec, scope: Scope): Promise<Machine>
  inspect(id: string, scope: Scope): Promise<MachineState>
  /** Lets a paused machine run; no effect on a running one. */
  resume(id: string, scope: Scope): Promise<void>
  /** Returns when process and files are verified absent; also when they never existed. The slot is not the driver's. */
  destroy(id: string, scope: Scope): Promise<void>
  /** What this host really has, running or dead, found from the host itself. */
  list(scope: Scope): Promise<string[]>
  /** Empty strings where there is nothing. Readable until `destroy`. */
  evidence(id: string): Promise<MachineEvidence>
}
