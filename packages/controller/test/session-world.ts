import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Scope, silentLog, systemClock } from '@anteroom/base'
import type { ImageManifest, ProviderDefinition } from '@anteroom/contract'
import { configSchema } from '../src/config.ts'
import { createConnections } from '../src/connections/connections.ts'
import { createEvents } from '../src/events/events.ts'
import type { Slot, Slots } from '../src/host/host.ts'
import type { ImageFiles } from '../src/images/images.ts'
import { createLeases, type Lease } from '../src/leases/leases.ts'
import { createFakeDriver, FakeHost } from '../src/machines/fake/fake-driver.ts'
import { createMetrics } from '../src/observe/observe.ts'
import { createSessions, type SessionDeps, type Sessions } from '../src/sessions/sessions.ts'
import { openStore, type Store } from '../src/store/store.ts'
import { openVault } from '../src/vault/vault.ts'
import { FakeGuest } from './fake-guest.ts'

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

const image: ImageFiles = { id: 'img_000000000000000000000001', directory: '/nowhere', manifest: {} as ImageManifest }

/** The network slots of a host, in memory. */
export class FakeSlots implements Slots {
  readonly kind = 'user'
  readonly size = 16
  readonly made = new Set<number>()
  at = (index: number): Slot => ({ kind: 'user', index, ip: `127.213.0.${index + 1}`, vmmUid: null })
  prepare = async ({ index }: Slot): Promise<void> => void this.made.add(index)
  remove = async ({ index }: Slot): Promise<void> => void this.made.delete(index)
  list = async (): Promise<number[]> => [...this.made]
}

/**
 * Everything around sessions: real store, vault, events, connections and leases; host, slots and guests in memory, so that they
 * outlive a controller as the real ones do.
 */
export class SessionWorld {
  readonly host = new FakeHost()
  readonly slots = new FakeSlots()
  readonly guests = new Map<string, FakeGuest>()
  readonly home: string
  readonly store: Store
  #running: { readonly scope: Scope; readonly done: Promise<void> } | undefined
  sessions!: Sessions
  deps!: SessionDeps

  private constructor(home: string, store: Store) {
    this.home = home
    this.store = store
  }

  /** `home`: one with sessions in it already; left out, a new one. Removed at the end. */
  static async open(settings: { readonly maxMachines?: number; readonly home?: string } = {}): Promise<SessionWorld> {
    const home = settings.home ?? (await mkdtemp(join(tmpdir(), 'anteroom-sessions-')))
    const world = new SessionWorld(home, await openStore(join(home, 'store.sqlite')))
    const { store, host, slots } = world
    const config = { ...configSchema.parse({ limits: { max_machines: settings.maxMachines ?? 4 } }), home }
    world.deps = {
      store,
      slots,
      config,
      clock: systemClock,
      log: silentLog,
      driver: createFakeDriver(host),
      accelerator: 'tcg',
      leases: createLeases(slots),
      images: { current: async () => image, get: async () => image, collect: async () => [] },
      live: { close: async () => {}, isPainted: async () => true },
      egress: { attach() {}, isAttached: () => true, detach() {}, records: () => [], close() {} },
      vault: await openVault({ keyFile: join(home, 'vault.key'), store, clock: systemClock }),
      connections: createConnections({ store }),
      providers: { get: () => provider },
      events: createEvents({ store, clock: systemClock }),
      metrics: createMetrics({ machines: () => 0, viewers: () => 0 }),
      publicUrl: () => 'http://127.0.0.1:4400',
      agentOf: (lease) => world.guest(lease),
      rfbOf: (lease) => ({ ip: lease.vm_ip, port: 5900, password: 'password' }),
    }
    world.startController()
    return world
  }

  /** The guest of a machine; made when the controller first looks. */
  guest({ id }: Pick<Lease, 'id'>): FakeGuest {
    const guest = this.guests.get(id) ?? new FakeGuest()
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
    this.sessions = createSessions(this.deps)
    const scope = Scope.root('controller')
    this.#running = { scope, done: this.sessions.run(scope) }
  }

  /** As a stop or crash would: in the middle of whatever it was doing. */
  async stopController(): Promise<void> {
    this.#running?.scope.cancel()
    await this.#running?.done
    this.#running = undefined
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
    await this.store.close()
    await rm(this.home, { recursive: true })
  }
}
