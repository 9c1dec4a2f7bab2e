import { AppError, Scope } from '@anteroom/base'
import type { Session } from '@anteroom/contract'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { FakeGuest } from '../../test/fake-guest.ts'
import { SessionWorld } from '../../test/session-world.ts'

/**
 * Whatever people, providers, machines and controllers do, in whatever order: the promises about sessions hold at every moment, and
 * once nothing more happens every session has ended and nothing is left. A failing run prints its seed and the shortest story.
 */

/** ANTEROOM_MODEL_RUNS: more of them than there is time for each time. */
const numRuns = Number(process.env.ANTEROOM_MODEL_RUNS ?? 15)
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
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('restart', 'rest', 'look') }) },
)
type Step = typeof steps extends fc.Arbitrary<infer S> ? S : never

class Story {
  readonly world: SessionWorld
  readonly ids: string[] = []
  /** Sessions that were seen ended, as they were then. */
  readonly #ended = new Map<string, Session>()

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
    const leases = await world.deps.leases.all(world.store.db)
    expect(new Set(leases.map(({ slot_index }) => slot_index)).size).toBe(leases.length)
    expect(new Set(leases.map(({ session_id }) => session_id)).size).toBe(leases.length)
    expect(leases.length).toBeLessThanOrEqual(maxMachines)
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
    expect(await world.leftovers()).toEqual([])
    for (const session of this.#ended.values()) {
      // Nothing is said to be handed over that is not in the vault, and nothing is in it that was not.
      const credential = await world.deps.vault.read(session.connection_id ?? '').catch(() => undefined)
      expect([session.id, credential !== undefined]).toEqual([session.id, session.outcome === 'completed'])
      expect([session.id, session.failure === null]).toEqual([session.id, session.outcome === 'completed'])
      expect(session.stages.every(({ duration_ms }) => duration_ms !== null)).toBe(true)
    }
  }
}

test('the promises about sessions hold in every story', { timeout: 20_000 + numRuns * 30_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 3, maxLength: 25 }), async (story) => {
      const world = await SessionWorld.open({ maxMachines })
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
    // The same stories each time, unless more of them are asked for.
    process.env.ANTEROOM_MODEL_RUNS ? { numRuns, endOnFailure: true } : { numRuns, seed: 20_240_229 },
  )
})
