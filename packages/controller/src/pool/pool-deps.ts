import type { Clock, Log } from '@anteroom/base'
import type { Config } from '../config.ts'
import type { Evidence } from '../evidence/evidence.ts'
import type { HostMeasurement, Slots } from '../host/host.ts'
import type { ImageFiles, Images } from '../images/images.ts'
import type { Leases } from '../leases/leases.ts'
import type { Accelerator, MachineDriver } from '../machines/driver.ts'
import type { Metrics } from '../observe/observe.ts'
import type { SnapshotFiles, Snapshots } from '../snapshots/snapshots.ts'
import type { Store } from '../store/store.ts'

/** What a machine would be made of now. */
export interface Offer {
  readonly image: ImageFiles
  /** undefined: it would boot. */
  readonly snapshot: SnapshotFiles | undefined
}

export interface PoolDeps {
  readonly store: Store
  readonly config: Pick<Config, 'vmm' | 'limits' | 'pool'>
  readonly clock: Clock
  readonly log: Log
  readonly driver: MachineDriver
  readonly accelerator: Accelerator
  readonly slots: Slots
  readonly leases: Leases
  readonly images: Pick<Images, 'current' | 'get'>
  readonly snapshots: Pick<Snapshots, 'of' | 'reject' | 'status' | 'onChange'>
  readonly metrics: Pick<Metrics, 'machineProvided' | 'pooledMachineDied'>
  readonly evidence: Pick<Evidence, 'keep' | 'fileOf'>
  readonly measureHost: () => Promise<HostMeasurement>
}
