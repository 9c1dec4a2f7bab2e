import type { Scope } from '@anteroom/base'
import { measureCgroup, type VmmLimits } from './cgroup.ts'
import type { CgroupController } from './cgroup-mounts.ts'
import { mostThreads } from './qemu-arguments.ts'
import type { Accelerator, VmmSpec } from './spec.ts'

/** A monitor's own memory besides the guest's: screen, buffers, code. */
const ownMiB = 512
/** Emulation keeps translated code: at most 1 GiB (accel/tcg/tb-maint, the default of tb-size). */
const translatedMiB = 1024

/** More than a machine ever needs, and no more than one may cost the others. */
export const limitsOf = ({
  memoryMiB,
  vcpus,
  accelerator,
}: Pick<VmmSpec, 'memoryMiB' | 'vcpus'> & { readonly accelerator: Accelerator }): VmmLimits => ({
  memoryMiB: memoryMiB + ownMiB + (accelerator === 'tcg' ? translatedMiB : 0),
  // One for what the monitor does beside the guest's processors.
  processors: vcpus + 1,
  threads: mostThreads,
})

/** What holds a monitor besides its sandbox, as far as this host and this process's user have it. */
export interface VmmWalls {
  /** A user of its own, and its machine's directory as all it sees of the host's files; only root can give that. */
  readonly ownUser: boolean
  /** Version of the control groups; null: there are none to be had. */
  readonly cgroupVersion: 1 | 2 | null
  readonly limited: readonly CgroupController[]
  readonly limits: VmmLimits
}

export async function measureWalls(instance: string, limits: VmmLimits, scope: Scope): Promise<VmmWalls> {
  const { version, enforced } = await measureCgroup(instance, limits, scope)
  return { ownUser: process.geteuid?.() === 0, cgroupVersion: version, limited: enforced, limits }
}
