import type { Clock, Log } from '@anteroom/base'
import type { AgentLink } from '../agent/agent.ts'
import type { Audit } from '../audit/audit.ts'
import type { Config } from '../config.ts'
import type { Connections } from '../connections/connections.ts'
import type { Egress } from '../egress/egress.ts'
import type { Events } from '../events/events.ts'
import type { Evidence } from '../evidence/evidence.ts'
import type { HostMeasurement, Slots } from '../host/host.ts'
import type { Images } from '../images/images.ts'
import type { Lease, Leases } from '../leases/leases.ts'
import type { Live, RfbEndpoint } from '../live/live.ts'
import type { MachineDriver } from '../machines/driver.ts'
import type { LogRecord, Metrics } from '../observe/observe.ts'
import type { Pool } from '../pool/pool.ts'
import type { Providers } from '../providers/providers.ts'
import type { Snapshots } from '../snapshots/snapshots.ts'
import type { Store } from '../store/store.ts'
import type { Vault } from '../vault/vault.ts'

/** Everything a session touches. */
export interface SessionDeps {
  readonly store: Store
  readonly config: Config
  readonly clock: Clock
  readonly log: Log
  readonly driver: MachineDriver
  readonly slots: Slots
  readonly leases: Leases
  readonly pool: Pool
  readonly snapshots: Pick<Snapshots, 'collect'>
  readonly images: Pick<Images, 'current' | 'get' | 'collect'>
  readonly evidence: Pick<Evidence, 'keep' | 'read' | 'fileOf' | 'collect'>
  readonly measureHost: () => Promise<HostMeasurement>
  /** Of the kept log, the lines of these sessions and machines. */
  readonly readLogOf: (ids: ReadonlySet<string>, since: Date) => Promise<LogRecord[]>
  readonly live: Pick<Live, 'close' | 'isPainted' | 'presenceOf'>
  readonly egress: Egress
  readonly vault: Vault
  readonly connections: Pick<Connections, 'ensure'>
  readonly providers: Pick<Providers, 'get'>
  readonly events: Events
  readonly audit: Audit
  readonly metrics: Pick<Metrics, 'sessionEnded' | 'stageEnded' | 'leftoverSwept'>
  readonly publicUrl: () => string
  /** The link to a machine; made from its lease alone, so that it works after a restart too. */
  readonly agentOf: (lease: Lease) => AgentLink
  readonly rfbOf: (lease: Lease) => RfbEndpoint
}
