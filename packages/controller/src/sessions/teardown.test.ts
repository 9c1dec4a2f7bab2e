import { afterEach, describe, expect, test } from 'vitest'
import { SessionWorld } from '../../test/session-world.ts'

let world: SessionWorld
afterEach(() => world.close())

describe('a teardown', () => {
  /** Its session is ending, and what is told of its machine is not kept before `goesOn`. */
  async function held(): Promise<{ id: string; goesOn: () => void; begun: () => number }> {
    const id = await world.create()
    await world.reaches(id, 'ready')
    const gate = Promise.withResolvers<void>()
    const { evidence } = world.deps
    const { keep } = evidence
    let begun = 0
    evidence.keep = async (...kept) => {
      begun += 1
      // The first one has nothing to do any more when it is let go: another has done it.
      await (begun === 1 ? gate.promise : keep(...kept))
    }
    await world.sessions.requestEnd(id, 'cancelled')
    await expect.poll(() => begun).toBe(1)
    return { id, goesOn: gate.resolve, begun: () => begun }
  }

  test('goes on where it is when the end is asked for again', async () => {
    world = await SessionWorld.open()
    const { id, goesOn, begun } = await held()
    await world.sessions.requestEnd(id, 'cancelled')
    goesOn()
    await world.reaches(id, 'ended')
    expect(begun()).toBe(1)
  })

  test('that was given up takes nothing from whoever has its slot next', async () => {
    world = await SessionWorld.open()
    const { id, goesOn } = await held()
    await world.stopController()
    world.startController()
    await world.reaches(id, 'ended')
    await world.reaches(await world.create('you'), 'ready')
    const made = [...world.slots.made]
    goesOn()
    await world.deps.clock.delay(20, new AbortController().signal)
    expect([...world.slots.made]).toEqual(made)
  })
})
