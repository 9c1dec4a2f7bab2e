import { AppError } from '@anteroom/base'
import type { PoolStatus } from '@anteroom/contract'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { FakeSlots, SessionWorld, type WorldSettings } from '../../test/session-world.ts'
import { ManualClock } from '../live/live.fixture.ts'

// Each waits for conditions; a loaded host only takes longer.
vi.setConfig({ testTimeout: 20_000 })

let world: SessionWorld
let clock: ManualClock
afterEach(() => world.close())

async function openWithoutSnapshot(settings: WorldSettings = {}): Promise<void> {
  clock = new ManualClock()
  world = await SessionWorld.open({ pool: { slots_ahead: 0 }, clock, ...settings })
}

async function open(settings: WorldSettings = {}): Promise<void> {
  await openWithoutSnapshot(settings)
  world.snapshots.publish(world.image.id, 'a')
}

const becomes = (expected: Partial<PoolStatus>): Promise<void> =>
  expect.poll(() => world.pool.status(), { timeout: 5_000, interval: 2 }).toMatchObject(expected)

/** Once everything that is under way has come to rest, without time passing. */
async function stays(expected: Partial<PoolStatus>): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(await world.pool.status()).toMatchObject(expected)
}

async function ready(...subjects: string[]): Promise<string[]> {
  const ids = await Promise.all(subjects.map((subject) => world.create(subject)))
  for (const id of ids) await world.reaches(id, 'ready')
  return ids
}

async function endAll(ids: readonly string[]): Promise<void> {
  for (const id of ids) await world.sessions.requestEnd(id, 'cancelled')
  for (const id of ids) await world.reaches(id, 'ended')
}

describe('demand', () => {
  test('makes the pool as large as the last rush, and ten minutes later as small as its floor', async () => {
    await open({ maxMachines: 8 })
    await becomes({ wanted: 1, ready: 1 })
    await endAll(await ready('a', 'b', 'c'))
    await becomes({ wanted: 3, ready: 3 })
    await clock.pass(590)
    await stays({ wanted: 3, ready: 3 })
    await clock.pass(40)
    await becomes({ wanted: 1, ready: 1 })
    expect(world.host.machines.size).toBe(1)
    expect(world.slots.made.size).toBe(1)
  })

  test('of one after the other needs one, and no rush goes above the ceiling', async () => {
    await open({ maxMachines: 8, pool: { ceiling: 2, slots_ahead: 0 } })
    for (const subject of ['a', 'b', 'c', 'd']) {
      await endAll(await ready(subject))
      await clock.pass(11)
    }
    await becomes({ wanted: 1, ready: 1 })
    await endAll(await ready('a', 'b', 'c', 'd', 'e'))
    await becomes({ wanted: 2, ready: 2 })
  })

  test('counts who waits in the queue', async () => {
    await open({ maxMachines: 1 })
    const ids = await ready('a')
    for (const subject of ['b', 'c']) await world.create(subject)
    await becomes({ wanted: 3, ready: 3 })
    await endAll(ids)
  })

  test('is nothing to a fixed size; none at all is no pool', async () => {
    await open({ pool: { size: 2, slots_ahead: 0 } })
    await endAll(await ready('a', 'b', 'c', 'd'))
    await becomes({ size: 2, floor: 2, ceiling: 2, wanted: 2, ready: 2 })
    await world.close()
    await open({ pool: { size: 0, slots_ahead: 0 } })
    await endAll(await ready('a'))
    await stays({ wanted: 0, ready: 0, reason: null })
  })

  test('is remembered by what waits when the controller starts again', async () => {
    await open({ maxMachines: 8 })
    await endAll(await ready('a', 'b', 'c'))
    await becomes({ ready: 3 })
    await world.stopController()
    world.startController()
    await stays({ wanted: 3, ready: 3 })
    await clock.pass(640)
    await becomes({ wanted: 1, ready: 1 })
  })
})

describe('the pool does not fill', () => {
  test('while a session starts', async () => {
    await open()
    world.deps.live.isPainted = async () => undefined
    await becomes({ ready: 1 })
    const id = await world.create()
    await world.reaches(id, 'vm_created')
    await stays({ ready: 0, wanted: 1, filling: 0, reason: { code: null, detail: 'a session is starting' } })
    await clock.pass(60)
    await stays({ ready: 0 })
    world.deps.live.isPainted = async () => true
    await clock.pass(2)
    await world.reaches(id, 'ready')
    await becomes({ ready: 1, reason: null })
  })

  test('where sessions may need the memory', async () => {
    await open({ maxMachines: 4 })
    await becomes({ ready: 1 })
    // Four machines of 1836 MiB; one more that waits has no room.
    world.measurement = { ...world.measurement, availableMemoryMiB: 4 * 1836 - 256 + 49 }
    const [id = ''] = await ready('a')
    await stays({
      ready: 0,
      reason: { code: 'insufficient_memory', detail: expect.stringContaining('7137 MiB are free') },
    })
    world.measurement = { ...world.measurement, availableMemoryMiB: 4 * 1836 - 256 + 50 }
    await clock.pass(31)
    await becomes({ ready: 1, reason: null })
    expect((await world.sessions.get(id)).status).toBe('ready')
  })

  test('beyond its slots', async () => {
    await open({ pool: { size: 5, slots_ahead: 0 }, slots: new FakeSlots('user', 3) })
    await becomes({ ready: 3, wanted: 5, reason: { code: 'ip_pool_exhausted', detail: 'all 3 addresses are held' } })
    const ids = await ready('a', 'b', 'c')
    for (const id of ids) expect(await world.sessions.get(id)).toMatchObject({ machine_origin: 'warm' })
    await endAll(ids)
    await becomes({ ready: 3, filling: 0 })
  })

  test('again and again where it fails: it waits twice as long each time, and says why', async () => {
    await openWithoutSnapshot()
    for (let n = 0; n < 3; n++) world.host.failNext('create', new AppError('vmm_exited', { detail: `failure ${n}` }))
    world.snapshots.publish(world.image.id, 'a')
    await becomes({ ready: 0, filling: 0, reason: { code: 'vmm_exited', detail: 'failure 0' } })
    await clock.pass(1)
    await stays({ reason: { code: 'vmm_exited', detail: 'failure 0' } })
    await clock.pass(1)
    await becomes({ reason: { code: 'vmm_exited', detail: 'failure 1' } })
    await clock.pass(4)
    await becomes({ reason: { code: 'vmm_exited', detail: 'failure 2' } })
    await clock.pass(7)
    await stays({ ready: 0, filling: 0 })
    expect(world.slots.made.size).toBe(0)
    await clock.pass(1)
    await becomes({ ready: 1, reason: null })
  })

  test('with a snapshot that turns out to be corrupt', async () => {
    await openWithoutSnapshot()
    world.host.failNext('create', new AppError('snapshot_corrupt', { detail: 'memory' }))
    const id = world.snapshots.publish(world.image.id, 'a')
    await expect.poll(() => world.snapshots.rejected).toEqual([id])
    const corrupt = { code: 'snapshot_corrupt', why: expect.stringContaining('memory') } as const
    await becomes({ ready: 0, filling: 0, snapshot: { status: 'building', ...corrupt } })
    await becomes({ reason: { code: 'snapshot_corrupt', detail: expect.stringContaining('memory') } })
    await endAll(await ready('me'))
    world.snapshots.publish(world.image.id, 'a')
    await becomes({ ready: 1 })
  })
})

describe('what waits', () => {
  test('is looked at every half a minute; one that died is replaced', async () => {
    await open({ pool: { size: 2, slots_ahead: 0 } })
    await becomes({ ready: 2 })
    const [dead = '', alive = ''] = [...world.host.machines.keys()]
    world.host.kill(dead, { vmm: 'terminating on signal 9' })
    await clock.pass(29)
    await stays({ ready: 2 })
    expect(world.host.machines.has(dead)).toBe(true)
    await clock.pass(2)
    await expect.poll(() => world.host.machines.has(dead)).toBe(false)
    await becomes({ ready: 2 })
    expect(world.host.machines.get(alive)).toMatchObject({ state: 'paused' })
    expect((await world.deps.metrics.render()).body).toContain('anteroom_pool_deaths_total 1')
  })

  test('is left alone when its monitor gives no answer', async () => {
    await open()
    await becomes({ ready: 1 })
    const before = [...world.host.machines.keys()]
    world.host.failNext('inspect', new AppError('deadline_exceeded'))
    await clock.pass(31)
    await stays({ ready: 1 })
    expect([...world.host.machines.keys()]).toEqual(before)
  })

  test('does not keep the others when it cannot be taken down', async () => {
    await open({ pool: { size: 3, slots_ahead: 0 } })
    await becomes({ ready: 3 })
    const { driver } = world.deps
    const { destroy } = driver
    const [stuck] = world.host.machines.keys()
    driver.destroy = async (id, scope) => {
      if (id === stuck) throw new AppError('internal', { detail: 'still there' })
      await destroy(id, scope)
    }
    world.snapshots.become({ status: 'building', code: null, why: 'a new image' })
    await expect.poll(() => world.host.machines.size).toBe(1)
    await becomes({ ready: 0, filling: 1 })
    driver.destroy = destroy
    await clock.pass(31)
    await becomes({ ready: 0, filling: 0 })
    expect(world.host.machines.size).toBe(0)
  })
})
