import type { AppError, Clock, Scope } from '@anteroom/base'
import type { DoctorCheckName, Verdict } from '@anteroom/contract'
import type { VmmWalls } from '@anteroom/vmm'
import type { Audit } from '../audit/audit.ts'
import type { Config } from '../config.ts'
import type { Firewall, HostMeasurement, Slots } from '../host/host.ts'
import type { Images } from '../images/images.ts'
import type { MachineDriver } from '../machines/driver.ts'
import type { Snapshots } from '../snapshots/snapshots.ts'
import type { Store } from '../store/store.ts'
import type { Vault } from '../vault/vault.ts'

/** What a part of the controller is, or why it could not be opened: the doctor comes to those that do not start, too. */
export type Opened<T> = T | AppError

/** What is examined. */
export interface Patient {
  readonly config: Config
  readonly clock: Clock
  readonly images: Images
  readonly store: Opened<Store>
  readonly audit: Opened<Pick<Audit, 'checkpoint' | 'verify'>>
  readonly vault: Opened<Pick<Vault, 'verify' | 'rotation'>>
  readonly slots: Opened<Slots>
  readonly driver: Opened<MachineDriver>
  /** Builds what is missing; null: no controller runs that would. */
  readonly snapshots: Pick<Snapshots, 'reject' | 'rebuild'> | null
  readonly measureHost: () => Promise<HostMeasurement>
  /** What holds each monitor. */
  readonly measureWalls: (scope: Scope) => Promise<VmmWalls>
  /** Slots that are made ahead of need: no lease names them. */
  readonly slotsAhead: ReadonlySet<number>
  /** null: no controller runs that would set it. */
  readonly firewall: Pick<Firewall, 'look' | 'ensure'> | null
  /** Removes what nobody holds from the host. */
  readonly sweep: (scope: Scope) => Promise<void>
  /** Where the controller that asks listens; null: none runs. */
  readonly url: string | null
}

export interface Finding {
  readonly verdict: Verdict
  readonly found: string
  readonly remedy?: string
  /** Repairs it without harm to anything that is in use; gives what was done. */
  readonly fix?: (scope: Scope) => Promise<string>
}

/** One thing that must be so. */
export interface Check {
  readonly name: DoctorCheckName
  /** An AppError that it throws is its finding: `failed`, with the hint of its code. */
  examine(patient: Patient, scope: Scope): Promise<Finding>
}

export const ok = (found: string): Finding => ({ verdict: 'ok', found })
export const warning = (found: string, remedy: string): Finding => ({ verdict: 'warning', found, remedy })
export const failed = (found: string, remedy: string): Finding => ({ verdict: 'failed', found, remedy })
