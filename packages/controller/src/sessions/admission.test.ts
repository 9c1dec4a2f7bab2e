import { newId } from '@anteroom/base'
import { afterEach, describe, expect, test } from 'vitest'
import { SessionWorld, type WorldSettings } from '../../test/session-world.ts'

let world: SessionWorld
afterEach(() => world.close())

const open = async (settings: WorldSettings = {}): Promise<void> => {
  world = await SessionWorld.open(settings)
}
const create = (subject: string, principal = 'key_a') =>
  world.sessions.create({ provider: 'idp', subject }, { principal })
const statusOf = async (id: string): Promise<string> => (await world.sessions.get(id)).status
const queueOf = async (id: string) => (await world.sessions.get(id)).queue
async function complete(id: string): Promise<void> {
  await world.reaches(id, 'ready')
  await (await world.guestOf(id)).personSignsIn()
  await world.reaches(id, 'ended')
}

test('a hundred at once on a host for five: five run, the queue takes its number in order, the rest is told when to come back', {
  timeout: 120_000,
}, async () => {
  await open({ maxMachines: 5, limits: { max_queued: 20 } })
  const asked = await Promise.allSettled(Array.from({ length: 100 }, (_, n) => create(`subject ${n}`)))
  const ids = asked.flatMap((each) => (each.status === 'fulfilled' ? [each.value.id] : []))
  const refusals = asked.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []))
  expect([ids.length, refusals.length]).toEqual([25, 75])
  for (const refusal of refusals)
    expect(refusal).toMatchObject({ code: 'capacity_exhausted', detail: expect.stringContaining('limits.max_queued') })
  expect(refusals.every(({ retryAfterSeconds }) => retryAfterSeconds >= 1 && retryAfterSeconds <= 900)).toBe(true)

  const running = async (): Promise<string[]> => {
    const statuses = await Promise.all(ids.map(async (id) => [id, await statusOf(id)] as const))
    return statuses.filter(([, status]) => status === 'ready').map(([id]) => id)
  }
  await expect.poll(async () => (await running()).length, { timeout: 20_000 }).toBe(5)
  const places = await Promise.all(ids.map(queueOf))
  const positions = places.flatMap((place) => place?.position ?? [])
  expect(positions.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1))
  expect(places.filter((place) => place?.reason === 'capacity_exhausted')).toHaveLength(20)

  for (const done = new Set<string>(); done.size < 25; ) {
    const [id] = await running()
    const next = (await Promise.all(ids.map(async (each) => [each, await queueOf(each)] as const))).find(
      ([, place]) => place?.position === 1,
    )
    if (id === undefined || done.has(id)) continue
    expect((await world.deps.leases.all(world.store.db)).length).toBeLessThanOrEqual(5)
    await complete(id)
    done.add(id)
    if (next) await world.reaches(next[0], 'starting', 'vm_created', 'ready')
  }
  expect((await Promise.all(ids.map((id) => world.sessions.get(id)))).map(({ outcome }) => outcome)).toEqual(
    Array(25).fill('completed'),
  )
  expect(await world.leftovers()).toEqual([])
})

describe('a limit', () => {
  test.each([
    ['max_per_subject', 'subject_limit_reached', (n: number) => ['ada', `key_${n}`]],
    ['max_per_key', 'key_limit_reached', (n: number) => [`subject ${n}`, 'key_a']],
    ['max_per_provider', 'provider_limit_reached', (n: number) => [`subject ${n}`, `key_${n}`]],
  ] as const)('%s holds for many at once, and says when to come back', async (limit, code, asker) => {
    await open({ limits: { [limit]: 2 } })
    const asked = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) => create(...(asker(n) as [string, string]))),
    )
    const refusals = asked.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []))
    expect(refusals).toHaveLength(18)
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({ code, detail: `2 are open; limits.${limit} is 2` })
      expect(refusal.retryAfterSeconds).toBeGreaterThan(0)
      expect(refusal.retryAfterSeconds).toBeLessThanOrEqual(900)
    }
  })

  test('of a subject is nobody else’s, and a session that is to end does not count any more', async () => {
    await open({ limits: { max_per_subject: 1 } })
    const { id } = await create('ada')
    await create('grace')
    await world.reaches(id, 'ready')
    await expect(create('ada')).rejects.toMatchObject({ code: 'subject_limit_reached' })
    await world.sessions.requestEnd(id, 'cancelled')
    await create('ada')
  })

  test('of a subject is not that of the same name in another project', async () => {
    await open({ limits: { max_per_subject: 1 } })
    const projectId = newId('project')
    await world.store.db.insertInto('projects').values({ id: projectId, name: 'another', created_at: 1 }).execute()
    const createThere = () =>
      world.sessions.of({ projectId }).create({ provider: 'idp', subject: 'ada' }, { principal: 'key_b' })
    const [here, there] = [await create('ada'), await createThere()]
    expect(there.connection_id).not.toBe(here.connection_id)
    await expect(createThere()).rejects.toMatchObject({ code: 'subject_limit_reached' })
    await expect(create('ada')).rejects.toMatchObject({ code: 'subject_limit_reached' })
  })

  test('says when to come back by how long sessions last here', async () => {
    await open({ limits: { max_per_subject: 1 } })
    await complete((await create('grace')).id)
    const { id } = await create('ada')
    await world.reaches(id, 'ready')
    await world.store.db
      .updateTable('stages')
      .set((eb) => ({ started_at: eb('started_at', '-', 40_000) }))
      .where('session_id', '<>', id)
      .where('name', '=', 'network')
      .execute()
    await world.restartWith({})
    await expect
      .poll(() => create('ada').catch(({ retryAfterSeconds }) => retryAfterSeconds))
      .toSatisfy((seconds) => seconds > 20 && seconds <= 41)
  })

  test('that was lowered since keeps nobody else back', async () => {
    await open({ maxMachines: 1 })
    const first = await create('ada')
    await world.reaches(first.id, 'ready')
    const [second, third] = [await create('ada'), await create('grace')]
    await world.restartWith({ max_machines: 2, max_per_subject: 1 })
    await world.reaches(third.id, 'ready')
    expect(await queueOf(second.id)).toEqual({
      position: 1,
      estimated_wait_seconds: null,
      reason: 'subject_limit_reached',
    })
    await complete(first.id)
    await world.reaches(second.id, 'ready')
  })
})

describe('a session that waits', () => {
  test.each([
    ['insufficient_memory', { availableMemoryMiB: 100 }],
    ['insufficient_cpu', { load: [50, 20, 5], cpuPressure: 99 }],
    ['disk_full', { freeDiskMiB: 10 }],
  ] as const)('for the host says so (%s), and goes on when there is room', async (reason, shortage) => {
    await open()
    const { measurement } = world
    world.measurement = { ...measurement, ...(shortage as Partial<typeof measurement>) }
    const { id } = await create('ada')
    await expect.poll(() => queueOf(id)).toEqual({ position: 1, estimated_wait_seconds: null, reason })
    expect(await world.pool.capacity()).toMatchObject({ more: 0, running: 0, queued: 1, bound_by: { code: reason } })
    world.measurement = measurement
    await world.reaches(id, 'ready')
    expect(await queueOf(id)).toBeNull()
  })

  test('knows its place at once, and how long yet once others have been served', async () => {
    await open({ maxMachines: 1 })
    await complete((await create('before')).id)
    const first = await create('first')
    await world.reaches(first.id, 'ready')
    const waiting = await create('second')
    expect(waiting.queue?.position).toBe(1)
    expect((await create('third')).queue?.position).toBe(2)
    await expect.poll(async () => (await queueOf(waiting.id))?.estimated_wait_seconds).toBeTypeOf('number')
    expect((await queueOf(waiting.id))?.reason).toBe('capacity_exhausted')
    await complete(first.id)
    await world.reaches(waiting.id, 'ready')
    expect((await world.sessions.list({ limit: 10, status: 'queued' })).items[0]?.queue?.position).toBe(1)
  })

  test('is not kept waiting by another key that asked for ninety', async () => {
    await open({ maxMachines: 2 })
    for (let n = 0; n < 90; n++) await create(`flood ${n}`, 'key_flood')
    const single = await create('single', 'key_single')
    expect(single.queue?.position).toBeLessThanOrEqual(2)
  })
})
