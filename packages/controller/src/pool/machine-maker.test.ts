import { afterEach, describe, expect, test } from 'vitest'
import { FakeSlots, SessionWorld } from '../../test/session-world.ts'

let world: SessionWorld
afterEach(() => world.close())

describe('a network slot that cannot be made', () => {
  test('is left for the next one, and given to later sessions only when no other is free', async () => {
    world = await SessionWorld.open({ slots: new FakeSlots('user', 3) })
    world.slots.broken.add(0)
    const first = await world.create('a')
    await world.reaches(first, 'ready')
    expect((await world.sessions.get(first)).vm_ip).toBe(world.slots.at(1).ip)
    const second = await world.create('b')
    await world.reaches(second, 'ready')
    expect(world.slots.prepared).toEqual([0, 1, 2])
    world.slots.broken.clear()
    const third = await world.create('c')
    await world.reaches(third, 'ready')
    expect((await world.sessions.get(third)).vm_ip).toBe(world.slots.at(0).ip)
  })

  test('ends the session when the next ones cannot be made either', async () => {
    world = await SessionWorld.open()
    for (const index of [0, 1, 2, 3]) world.slots.broken.add(index)
    const id = await world.create()
    await world.reaches(id, 'ended')
    const { failure } = await world.sessions.get(id)
    expect(failure).toMatchObject({ code: 'network_setup_failed', detail: 'slot 2 is broken' })
    expect(world.slots.prepared).toEqual([0, 1, 2])
    expect(await world.leftovers()).toEqual([])
  })
})
