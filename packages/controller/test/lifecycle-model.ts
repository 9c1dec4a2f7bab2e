import { AppError, Scope } from '@anteroom/base'
import type { Session } from '@anteroom/contract'
import fc from 'fast-check'
import { expect } from 'vitest'
import type { FakeGuest } from './fake-guest.ts'
import { readCredential } from './read-credential.ts'
import { FakeSlots, SessionWorld } from './session-world.ts'

/**
 * Whatever people, providers, machines and controllers do, in whatever order: the promises about sessions hold at every moment, and
 * once nothing more happens every session has ended and nothing is left. A failing run prints its seed and the shortest story.
 */

const subjects = 6
const maxMachines = 3

/** `who` counts from the oldest session of the run; where there are fewer, nothing happens. */
const steps = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('create' as const) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('signIn' as const), who: fc.nat(5) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('cancel', 'expire', 'killMachine', 'silence', 'deny'), who: fc.nat(5) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('fail' as const),
      method: fc.constantFrom('create', 'inspect', 'destroy', 'list', 'resume'),
      code: fc.constantFrom('vmm_exited', 'internal', 'store_unavailable'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('restart', 'rest', 'look', 'killWaiting') }) },
  // So many turns later: a moment of its own in what was set going by the steps before.
  { weight: 3, arbitrary: fc.record({ do: fc.constant('crash' as const), turns: fc.nat(60) }) },
)
type Step = typeof steps extends fc.Arbitrary<infer S> ? S : never

class Story {
  readonly world: SessionWorld
  readonly ids: string[] = []
  /** Sessions that were seen ended, as they were then. */
  readonly #ended = new Map<string, Session>()
  #hasKilledWaiting = false

  constructor(world: SessionWorld) {
    this.world = world
  }

  async tell(step: Step): Promise<void> {
    const { world } = this
    const id = 'who' in step ? this.ids[step.who] : undefined
    switch (step.do) {
      case 'create':
        if (this.ids.length < subjects) this.ids.push(await world.create(`subject ${this.ids.length}`))
        return
      case 'restart':
        await world.stopController()
        return world.startController()
      case 'crash':
        if ('turns' in step) for (let turn = 0; turn < step.turns; turn++) await new Promise(setImmediate)
        await world.crashController()
        return world.startController()
      case 'killWaiting': {
        const [waiting] = [...world.host.machines].find(([, { state }]) => state === 'paused') ?? []
        if (waiting === undefined) return
        this.#hasKilledWaiting = true
        return world.host.kill(waiting)
      }
      case 'fail':
        if ('method' in step) world.host.failNext(step.method as 'create', new AppError(step.code as 'internal'))
        return
      case 'rest':
        return await world.deps.clock.delay(20, new AbortController().signal)
      case 'look':
        return await this.look()
      default:
        if (id !== undefined) await this.#happen(step.do, id)
    }
  }

  async #happen(what: string, id: string): Promise<void> {
    const { world } = this
    const { browser_vm_id } = await world.sessions.get(id)
    switch (what) {
      case 'cancel':
        return void (await world.sessions.requestEnd(id, 'cancelled'))
      case 'expire':
        // The trigger refuses this for one that has ended.
        return void (await world.store.db
          .updateTable('sessions')
          .set({ expires_at: 1 })
          .where('id', '=', id)
          .where('status', '<>', 'ended')
          .execute())
      case 'killMachine':
        if (world.host.machines.has(browser_vm_id ?? '')) world.host.kill(browser_vm_id ?? '')
        return
      default: {
        const guest = await this.#atSignIn(id)
        if (!guest) return
        if (what === 'signIn') await guest.personSignsIn()
        if (what === 'deny') await guest.signInFails('consent_denied')
        if (what === 'silence') guest.isAnswering = false
      }
    }
  }

  /** The guest, when the session comes to its login page soon; people do not sign in before. */
  async #atSignIn(id: string): Promise<FakeGuest | undefined> {
    const { world } = this
    return await Scope.root('model')
      .run({ name: 'the login page', deadlineMs: 150 }, (scope) =>
        scope.until(async () => {
          const { browser_vm_id, status } = await world.sessions.get(id)
          if (status === 'queued' || status === 'ending' || status === 'ended') throw new AppError('session_over')
          const guest = world.guests.get(browser_vm_id ?? '')
          return guest?.opened ? guest : undefined
        }, 2),
      )
      .catch(() => undefined)
  }

  /** What holds at every moment. */
  async look(): Promise<void> {
    const { world } = this
    const sessions = await Promise.all(this.ids.map((id) => world.sessions.get(id)))
    for (const session of sessions) {
      const lives = ['vm_created', 'ready', 'capturing'].includes(session.status)
      if (lives) expect([session.browser_vm_id, session.vm_ip, session.vnc_url, session.image_id]).not.toContain(null)
      expect(session.outcome === null).toBe(!['ending', 'ended'].includes(session.status))
      const before = this.#ended.get(session.id)
      if (before) expect(session).toEqual(before)
      if (session.status === 'ended') this.#ended.set(session.id, session)
    }
    const machines = [...world.host.machines.keys()]
    const leases = await world.deps.leases.all(world.store.db)
    const held = leases.flatMap(({ session_id }) => session_id ?? [])
    expect(new Set(leases.map(({ slot_index }) => slot_index)).size).toBe(leases.length)
    expect(new Set(held).size).toBe(held.length)
    expect(held.length).toBeLessThanOrEqual(maxMachines)
    // Leases go after machines: one that was taken down meanwhile may have had none any more.
    const nobodys = machines.filter((id) => leases.every((lease) => lease.id !== id) && world.host.machines.has(id))
    expect(nobodys).toEqual([])
  }

  /** Nothing more happens but that everybody gives up. */
  async end(): Promise<void> {
    const { world } = this
    for (const id of this.ids) await world.sessions.requestEnd(id, 'cancelled')
    await Scope.root('model').run({ name: 'every session ends', deadlineMs: 60_000 }, (scope) =>
      scope.until(async () => {
        const sessions = await Promise.all(this.ids.map((id) => world.sessions.get(id)))
        return sessions.every(({ status }) => status === 'ended') || undefined
      }, 20),
    )
    await this.look()
    // What waits is looked at every half a minute, and at each start: no test waits that long.
    if (this.#hasKilledWaiting) {
      // A monitor that does not answer this one look is not taken for dead before the next.
      world.host.failNoMore()
      await this.tell({ do: 'restart' })
    }
    await this.#rests()
    for (const session of this.#ended.values()) {
      // Nothing is said to be handed over that is not in the vault, and nothing is in it that was not.
      const credential = await readCredential(world.deps.vault, session.connection_id ?? '').catch(() => undefined)
      expect([session.id, credential !== undefined]).toEqual([session.id, session.outcome === 'completed'])
      expect([session.id, session.failure === null]).toEqual([session.id, session.outcome === 'completed'])
      expect(session.stages.every(({ duration_ms }) => duration_ms !== null)).toBe(true)
    }
  }

  /** Nothing is left but what the pool is to have. */
  async #rests(): Promise<void> {
    const { world } = this
    const { size, slots_ahead } = world.deps.config.pool
    const expected = { held: 0, waiting: size, machines: size, slots: Number(size) + slots_ahead, keys: 0 }
    await expect
      .poll(
        async () => {
          const leases = await world.deps.leases.all(world.store.db)
          return {
            held: leases.filter(({ session_id }) => session_id !== null).length,
            waiting: leases.filter(({ session_id, ready_at }) => session_id === null && ready_at !== null).length,
            machines: leases.filter(({ id }) => world.host.machines.get(id)?.state === 'paused').length,
            slots: world.slots.made.size,
            keys: (await world.store.db.selectFrom('sealing_keys').selectAll().execute()).length,
          }
        },
        { timeout: 30_000, interval: 5 },
      )
      .toEqual(expected)
    expect(world.host.machines.size).toBe(size)
  }
}

/** Tells so many stories; without a seed they are others each time. */
export async function promisesHold(how: { readonly numRuns: number; readonly seed?: number }): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 3, maxLength: 25 }), fc.boolean(), async (story, isWarm) => {
      const pool = isWarm ? { size: 1, slots_ahead: 1 } : { size: 0, slots_ahead: 0 }
      const world = await SessionWorld.open({ maxMachines, pool, slots: new FakeSlots('tap') })
      if (isWarm) world.snapshots.publish(world.image.id, 'a')
      try {
        const told = new Story(world)
        for (const step of story) {
          await told.tell(step)
          await told.look()
        }
        await told.end()
      } finally {
        await world.close()
      }
    }),
    { endOnFailure: true, ...how },
  )
}
