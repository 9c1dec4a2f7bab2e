import type { ErrorCode, MachineOrigin, Outcome, PoolStatus, StageName } from '@anteroom/contract'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** What the process counts, each declared once; `GET /metrics` prints it. */
export interface Metrics {
  /** A session has ended. `code` says why it failed. */
  sessionEnded(outcome: Outcome, code?: ErrorCode): void
  stageEnded(stage: StageName, durationMs: number): void
  /** A session got a machine, in this way. */
  machineProvided(origin: MachineOrigin): void
  /** A machine of the warm pool was gone before anybody took it. */
  pooledMachineDied(): void
  /** Something was on the host that nobody held. */
  leftoverSwept(kind: 'machine' | 'slot'): void
  /** Somebody changed or removed the firewall, and it was set again. */
  firewallRestored(): void
  /** In the text format of Prometheus. */
  render(): Promise<{ readonly contentType: string; readonly body: string }>
}

export interface Counted {
  machines(): number | Promise<number>
  viewers(): number | Promise<number>
  pool(): Promise<Pick<PoolStatus, 'wanted' | 'ready' | 'filling' | 'snapshot'>>
}

/** From a restore out of a snapshot (tens of milliseconds) to a person who takes their time at the sign-in. */
const stageBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640, 1280]

/** Machines and viewers are counted when somebody asks, so that the numbers cannot drift from what is there. */
export function createMetrics(now: Counted): Metrics {
  const registry = new Registry()
  const registers = [registry]
  // Memory, open files, event loop delay of this process.
  collectDefaultMetrics({ register: registry })
  const sessions = new Counter({
    name: 'anteroom_sessions_ended_total',
    help: 'Sessions that ended, by outcome and, for failed ones, error code',
    labelNames: ['outcome', 'code'],
    registers,
  })
  const stages = new Histogram({
    name: 'anteroom_stage_duration_seconds',
    help: 'How long each stage of a session took',
    labelNames: ['stage'],
    buckets: stageBuckets,
    registers,
  })
  const provided = new Counter({
    name: 'anteroom_machines_provided_total',
    help: 'Machines that sessions got: woken from the warm pool, restored from the golden snapshot, booted',
    labelNames: ['origin'],
    registers,
  })
  const died = new Counter({
    name: 'anteroom_pool_deaths_total',
    help: 'Machines of the warm pool that were gone before anybody took them',
    registers,
  })
  const swept = new Counter({
    name: 'anteroom_leftovers_swept_total',
    help: 'Machines and network slots that nobody held and that were removed: what a crash has left',
    labelNames: ['kind'],
    registers,
  })
  const restored = new Counter({
    name: 'anteroom_firewall_restored_total',
    help: 'Times that the firewall around the machines was found changed or removed, and was set again',
    registers,
  })
  new Gauge({
    name: 'anteroom_machines_live',
    help: 'Machines that exist on this host',
    registers,
    async collect() {
      this.set(await now.machines())
    },
  })
  new Gauge({
    name: 'anteroom_viewers',
    help: 'Open sockets of the live view',
    registers,
    async collect() {
      this.set(await now.viewers())
    },
  })
  gaugePool(now, registry)
  return {
    machineProvided: (origin) => provided.inc({ origin }),
    pooledMachineDied: () => died.inc(),
    leftoverSwept: (kind) => swept.inc({ kind }),
    firewallRestored: () => restored.inc(),
    sessionEnded: (outcome, code) => sessions.inc({ outcome, code: code ?? '' }),
    stageEnded: (stage, durationMs) => stages.observe({ stage }, durationMs / 1000),
    render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  }
}

function gaugePool(now: Counted, registry: Registry): void {
  const registers = [registry]
  new Gauge({
    name: 'anteroom_pool_machines',
    help: 'Machines of the warm pool: ready to be taken, or being made or taken down',
    labelNames: ['state'],
    registers,
    async collect() {
      const { ready, filling } = await now.pool()
      this.set({ state: 'ready' }, ready)
      this.set({ state: 'filling' }, filling)
    },
  })
  new Gauge({
    name: 'anteroom_pool_wanted',
    help: 'Machines that the warm pool should hold, by demand',
    registers,
    async collect() {
      this.set((await now.pool()).wanted)
    },
  })
  new Gauge({
    name: 'anteroom_snapshot_ready',
    help: '1 when machines are restored from a golden snapshot, 0 when they boot',
    registers,
    async collect() {
      this.set((await now.pool()).snapshot.status === 'ready' ? 1 : 0)
    },
  })
}
