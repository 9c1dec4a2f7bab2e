/** Virtual machines, by whatever monitor this host has. */
import type { Scope } from '@anteroom/base'
import { limitsOf, measureWalls, type VmmWalls } from '@anteroom/vmm'
import type { Config } from '../config.ts'
import { instanceTag, type Slots } from '../host/host.ts'
import type { ImageFiles } from '../images/images.ts'
import type { Capabilities, MachineDriver } from './driver.ts'
import { QemuDriver } from './qemu/qemu-driver.ts'

export { lastWords } from './last-words.ts'

export interface MachinesDeps {
  readonly config: Pick<Config, 'vmm' | 'home'>
  /** What the measurement boots; without an image nothing can be measured, and machines are emulated. */
  readonly images?: { current(): Promise<ImageFiles> }
  readonly slots: Slots
}

/** What holds each monitor, as far as this host and user have it; of emulated ones, which need the most memory. */
export const measureMachineWalls = ({ vmm, home }: Pick<Config, 'vmm' | 'home'>, scope: Scope): Promise<VmmWalls> =>
  measureWalls(instanceTag(home), limitsOf({ memoryMiB: vmm.memory_mib, vcpus: vmm.vcpus, accelerator: 'tcg' }), scope)

/** @throws AppError vmm_missing, kvm_required */
export async function openMachines(
  { config, images, slots }: MachinesDeps,
  scope: Scope,
): Promise<{ driver: MachineDriver; capabilities: Capabilities }> {
  const driver = new QemuDriver({ config, images, vmmUid: slots.at(0).vmmUid })
  return { driver, capabilities: await driver.capabilities(scope) }
}
