import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError, type Clock, type Log, Scope, silentLog, systemClock } from '@anteroom/base'
import type { ImageManifest, ProviderDefinition } from '@anteroom/contract'
import { type Config, configSchema } from '../src/config.ts'
import { createConnections } from '../src/connections/connections.ts'
import { createEvents } from '../src/events/events.ts'
import { createEvidence } from '../src/evidence/evidence.ts'
import type { HostMeasurement, Slot, SlotKind, Slots } from '../src/host/host.ts'
import type { ImageFiles } from '../src/images/images.ts'
import { createLeases, type Lease } from '../src/leases/leases.ts'
import type { Presence } from '../src/live/live.ts'
import { createFakeDriver, FakeHost } from '../src/machines/fake/fake-driver.ts'
import { createMetrics, logDirectory, type Metrics, readLogOf } from '../src/observe/observe.ts'
import { createPool, type Pool, type PoolDeps } from '../src/pool/pool.ts'
import { createSessions, type SessionDeps, type Sessions } from '../src/sessions/sessions.ts'
import { openStore, type Store } from '../src/store/store.ts'
import { openVault } from '../src/vault/vault.ts'
import { FakeGuest } from './fake-guest.ts'
import { FakeSnapshots } from './fake-snapshots.ts'
import { Lifeline } from './lifeline.ts'
import { testAudit } from './test-audit.ts'

const provider: ProviderDefinition = {
  name: 'idp',
  title: 'Identity',
  kind: 'oauth2',
  issuer: 'https://idp.example.com',
  client_id: 'client',
  scopes: ['openid'],
  egress: { allow: ['idp.example.com'] },
  capture: { tokens: true },
}

export const imageOf = (digit: string): ImageFiles => ({
  id: `img_${digit.padStart(24, '0')}`,
  directory: '/nowhere',
  manifest: {} as ImageManifest,
})

export interface WorldSettings {
  readonly maxMachines?: number
  /** Left out: anybody may have as many sessions as they like. */
  readonly limits?: Partial<Config['limits']>
  /** Left out: no pool, machines boot. */
  readonly pool?: Partial<Config['pool']>
  readonly timeouts?: Partial<Config['timeouts']>
  /** One with sessions in it already; left out, a new one. Removed at the end. */
  readonly home?: string
  readonly clock?: Clock
  readonly log?: Log
  readonly slots?: FakeSlots
}

/** The network slots of a host, in memory. */
export class FakeSlots implements Slots {
  readonly kind: SlotKind
  readonly size: number
  readonly made = new Set<number>()
  /** In the order in which they were asked for. */
  readonly prepared: number[] = []
  /** That cannot be made. */
  readonly broken = new Set<number>()

  constructor(kind: SlotKind = 'user', size = 16) {
    this.kind = kind
    this.size = size
  }

  at = (index: number): Slot => ({ kind: this.kind, index, ip: `127.213.0.${index + 1}`, vmmUid: null })
  async prepare({ index }: Slot): Promise<void> {
    this.prepared.push(index)
    if (this.broken.has(index)) throw new AppError('network_setup_failed', { detail: `slot ${index} is broken` })
    this.made.add(index)
  }
  isThere = async ({ index }: Slot): Promise<boolean> => this.made.has(index)
  remove = async ({ index }: Slot): Promise<void> => void this.made.delete(index)
  list = async (): Promise<number[]> => [...this.made]
}

/**
 * Everything around sessions: real store, vault, events, connections and leases; host, slots and guests in memory, so that they
 * outlive a controller as the real ones do.
 */
export class SessionWorld {
  readonly host = new FakeHost()
  readonly slots: FakeSlots
  readonly snapshots = new FakeSnapshots()
  /** What new machines start from. */
  image = imageOf('1')
  measurement: HostMeasurement = {
    load: [0.5, 0.5, 0.5],
    cores: 2,
    cpuPressure: 5,
    availableMemoryMiB: 100_000,
    totalMemoryMiB: 128_000,
    freeDiskMiB: 50_000,
  }
  readonly guests = new Map<string, FakeGuest>()
  /** By session; gone with the controller that saw it. */
  readonly presence = new Map<string, Presence>()
  /** What new guests answer to `hello`, instead of what they are. */
  greeting: FakeGuest['hello'] | undefined
  readonly home: string
  readonly #config: Config
  readonly #clock: Clock
  readonly #log: Log
  readonly #metrics: Metrics
  #running: { readonly scope: Scope; readonly done: Promise<unknown> } | undefined
  store!: Store
  sessions!: Sessions
  pool!: Pool
  deps!: SessionDeps & PoolDeps & { readonly metrics: Metrics }
  #lifeline = new Lifeline()

  private constructor(home: string, config: Config, slots: FakeSlots, clock: Clock, log: Log) {
    this.home = home
    this.slots = slots
    this.#config = config
    this.#clock = clock
    this.#log = log
    this.#metrics = createMetrics({ machines: () => 0, viewers: () => 0, pool: () => this.pool.status() })
  }

  static async open(settings: WorldSettings = {}): Promise<SessionWorld> {
    const { clock = systemClock, slots = new FakeSlots(), log = silentLog } = settings
    const home = settings.home ?? (await mkdtemp(join(tmpdir(), 'anteroom-sessions-')))
    const limits = { max_machines: settings.maxMachines ?? 4, max_per_subject: 'none', ...settings.limits }
    const { pool = { size: 0, slots_ahead: 0 }, timeouts } = settings
    const config = { ...configSchema.parse({ limits, pool, timeouts }), home }
    const world = new SessionWorld(home, config, slots, clock, log)
    await world.#build()
    world.startController()
    return world
  }

  /** What one process of the controller consists of. */
  async #build(): Promise<void> {
    const world = this
    const [config, clock, log, lifeline] = [this.#config, this.#clock, this.#log, new Lifeline()]
    const store = await openStore(join(this.home, 'store.sqlite'))
    const slots = lifeline.of(this.slots, ['at'])
    const audit = testAudit({ store, clock, log })
    const { snapshots } = this
    const leases = createLeases({ store, slots })
    this.#lifeline = lifeline
    this.store = store
    const vault = await openVault({ keyFile: join(this.home, 'vault.key'), store, clock, audit })
    this.deps = {
      ...{ store, slots, leases, config, clock, snapshots, audit, metrics: this.#metrics },
      log,
      driver: lifeline.of(createFakeDriver(this.host)),
      accelerator: 'tcg',
      images: { current: async () => world.image, get: async () => world.image, collect: async () => [] },
      // As every start of the controller has its own.
      get pool() {
        return world.pool
      },
      evidence: lifeline.of(createEvidence({ config, clock, log }), ['fileOf']),
      measureHost: async () => world.measurement,
      readLogOf: (ids, since) => readLogOf(logDirectory(this.home), ids, since),
      live: { close: async () => {}, isPainted: async () => true, presenceOf: (id) => world.presence.get(id) },
      egress: {
        ...{ attach() {}, isAttached: () => true, detach() {} },
        ...{ hostsOf: async () => [], run: async () => {}, close: async () => {} },
      },
      vault,
      connections: createConnections({ store, audit, vault }),
      providers: { get: () => provider },
      events: createEvents({ store, clock }),
      publicUrl: () => 'http://127.0.0.1:4400',
      agentOf: (lease) => lifeline.of(world.guest(lease)),
      rfbOf: (lease) => ({ ip: lease.vm_ip, port: 5900, password: 'password' }),
    }
  }

  /** The guest of a machine; made when the controller first looks. */
  guest({ id }: Pick<Lease, 'id'>): FakeGuest {
    const known = this.guests.get(id)
    if (known) return known
    const guest = new FakeGuest()
    if (this.greeting) guest.hello = this.greeting
    this.guests.set(id, guest)
    return guest
  }

  /** @throws when the session has no machine */
  async guestOf(sessionId: string): Promise<FakeGuest> {
    const lease = await this.deps.leases.ofSession(this.store.db, sessionId)
    if (!lease) throw new Error(`${sessionId} has no machine`)
    return this.guest(lease)
  }

  startController(): void {
    this.pool = createPool(this.deps)
    this.sessions = createSessions(this.deps)
    const scope = Scope.root('controller', this.deps.log, this.deps.clock)
    const done = Promise.all([this.sessions.run(scope), this.pool.run(scope)])
    this.#running = { scope, done }
  }

  /** As SIGKILL does it: nothing of what the controller is in the middle of reaches host, guests, files or store any more. */
  async crashController(): Promise<void> {
    await this.#lifeline.cut()
    // A transaction that is open is rolled back.
    await this.store.close()
    this.#running?.scope.cancel()
    this.#running = undefined
    this.presence.clear()
    await this.#build()
  }

  /** As a signal does it: what it is in the middle of is given up, and undone where it has to be. */
  async stopController(): Promise<void> {
    this.#running?.scope.cancel()
    await this.#running?.done
    this.#running = undefined
    this.presence.clear()
  }

  /** As an operator would who changes the configuration. */
  async restartWith(limits: Partial<Config['limits']>): Promise<void> {
    await this.stopController()
    const { config } = this.deps
    Object.assign(this.deps, { config: { ...config, limits: { ...config.limits, ...limits } } })
    this.startController()
  }

  async create(subject = 'me'): Promise<string> {
    return (await this.sessions.create({ provider: 'idp', subject }, { principal: 'test' })).id
  }

  /** Waits until the session's row says one of these. */
  async reaches(id: string, ...statuses: string[]): Promise<void> {
    await Scope.root('test').run({ name: `${id} to become ${statuses.join(' or ')}`, deadlineMs: 10_000 }, (scope) =>
      scope.until(async () => statuses.includes((await this.sessions.get(id)).status) || undefined, 2),
    )
  }

  /** What a session must not leave behind. */
  async leftovers(): Promise<unknown[]> {
    const leases = await this.deps.leases.all(this.store.db)
    const sealingKeys = await this.store.db.selectFrom('sealing_keys').selectAll().execute()
    return [...leases, ...sealingKeys, ...this.host.machines.keys(), ...this.slots.made]
  }

  async close(): Promise<void> {
    await this.stopController()
    // What was given up may still be writing to the directory that goes. Nothing new begins; for what takes longer than a moment it is
    // tried again.
    await this.#lifeline.cut()
    await this.store.close()
    await rm(this.home, { recursive: true, maxRetries: 20, retryDelay: 50 })
  }
}
