import type { Scope } from '@anteroom/base'
import type { MachineState } from '@anteroom/contract'
import type { Slot } from '../host/host.ts'
import type { ImageFiles } from '../images/images.ts'

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
}

export interface Machine {
  readonly id: string
  readonly accelerator: Accelerator
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
  /** Starts the machine on a prepared slot; resolves when the VMM runs its CPUs. Adopts it if it is there already. @throws AppError vmm_exited, image_missing */
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
