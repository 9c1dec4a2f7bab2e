/** Virtual machine monitor processes: start, identify, speak to, end, find. Today's monitor is QEMU. */
export { type Acceleration, type MeasureOptions, measureAccelerator } from './accelerator.ts'
export { type FoundVmm, findVmms } from './find-vmms.ts'
export { end, isAlive, type ProcessIdentity } from './process-identity.ts'
export { type QemuVersion, qemuVersion } from './qemu-version.ts'
export { openQmp, type QmpClient, type RunState } from './qmp-client.ts'
export type { Accelerator, VmmNetwork, VmmSpec } from './spec.ts'
export { readVmmIdentity, startVmm, type Vmm, vmmFiles, writeVmmIdentity } from './start-vmm.ts'
export { tailOf } from './tail.ts'
