import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Scope } from '@anteroom/base'
import { type SnapshotKey, snapshotKeyText } from '@anteroom/contract'
import { type Accelerator, machineSignature, qemuVersion } from '@anteroom/vmm'

/** What an operator chooses of a machine, and what this host runs it with. */
export interface MachineShape {
  readonly binary: string
  readonly accelerator: Accelerator
  readonly memoryMiB: number
  readonly vcpus: number
}

/** @throws AppError vmm_missing */
export async function snapshotKeyOf(imageId: string, shape: MachineShape, scope: Scope): Promise<SnapshotKey> {
  const version = await qemuVersion(shape.binary, scope)
  return {
    image_id: imageId,
    vmm_version: version.text,
    accelerator: shape.accelerator,
    host_cpu: shape.accelerator === 'kvm' ? await hostProcessor() : null,
    memory_mib: shape.memoryMiB,
    vcpus: shape.vcpus,
    machine: machineSignature(shape, version),
  }
}

export const snapshotIdOf = (key: SnapshotKey): string =>
  `snp_${createHash('sha256').update(snapshotKeyText(key)).digest('hex').slice(0, 24)}`

/** What a guest under KVM sees of the processor: a microcode update can take a feature away. */
async function hostProcessor(): Promise<string> {
  const [first = ''] = (await readFile('/proc/cpuinfo', 'utf8')).split('\n\n', 1)
  const telling = /^(vendor_id|cpu family|model|model name|stepping|microcode|flags|vmx flags)\s*:/
  return first
    .split('\n')
    .filter((line) => telling.test(line))
    .map((line) => line.replace(/\s*:\s*/, ': '))
    .join('\n')
}
