import { AppError, Scope } from '@anteroom/base'
import type { PoolStatus } from '@anteroom/contract'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { FakeSlots, imageOf, SessionWorld, type WorldSettings } from '../../test/session-world.ts'

// Each waits for conditions; a loaded host only takes longer.
vi.setConfig({ testTimeout: 20_000 })

let world: SessionWorld
afterEach(() => world.close())

/** A world whose current image has a snapshot. */
async function open(settings: WorldSettings = {}): Promise<string> {
  world = await SessionWorld.open({ pool: { slots_ahead: 0 }, ...settings })
  return world.snapshots.publish(world.image.id, 'a')
}

async function becomes(expected: Partial<PoolStatus>): Promise<PoolStatus> {
  await expect.poll(() => world.pool.status(), { timeout: 5_000, interval: 2 }).toMatchObject(expected)
  return await world.pool.status()
}

const waiting = async (): Promise<string[]> =>
  (await world.deps.leases.all(world.store.db)).filter((lease) => lease.session_id === null).map(({ id }) => id)

const states = (): string[] => [...world.host.machines.values()].map(({ state }) => state)

function every(happen: (machineId: string) => void): void {
  for (const id of world.host.machines.keys()) happen(id)
}

async function ready(subject: string): Promise<string> {
  const id = await world.create(subject)
  await world.reaches(id, 'ready', 'ended')
  return id
}

async function endAll(...ids: string[]): Promise<void> {
  for (const id of ids) await world.sessions.requestEnd(id, 'cancelled')
  for (const id of ids) await world.reaches(id, 'ended')
}

describe('a session', () => {
  test('gets the machine that waited longest, and another one takes its place', async () => {
    const snapshot = await open({ pool: { size: 2 } })
    await becomes({ ready: 2, filling: 0 })
    const before = await waiting()
    expect(states()).toEqual(['paused', 'paused'])
    world.slots.prepared.length = 0
    const id = await ready('me')
    expect(await world.sessions.get(id)).toMatchObject({ browser_vm_id: before[0], machine_origin: 'warm' })
    await becomes({ ready: 2, reason: null, snapshot: { status: 'ready', id: snapshot } })
    expect(await waiting()).toHaveLength(2)
    // Nothing of its network was left to be done: the one slot is that of the machine which took its place.
    expect(world.slots.prepared).toEqual([2])
    await endAll(id)
    expect(await world.sessions.get(id)).toMatchObject({ machine_origin: 'warm' })
    expect(world.host.machines.has(before[0] ?? '')).toBe(false)
    const { body } = await world.deps.metrics.render()
    expect(body).toContain('anteroom_machines_provided_total{origin="warm"} 1')
  })

  test('is restored when more come than wait, and all of them get one', async () => {
    await open({ pool: { size: 2 }, maxMachines: 8 })
    await becomes({ ready: 2 })
    const ids = await Promise.all(Array.from({ length: 8 }, (_, index) => ready(`subject ${index}`)))
    const sessions = await Promise.all(ids.map((id) => world.sessions.get(id)))
    expect(new Set(sessions.map((session) => session.browser_vm_id)).size).toBe(8)
    const origins = sessions.map((session) => session.machine_origin)
    expect(origins.filter((origin) => origin === 'warm').length).toBeGreaterThanOrEqual(2)
    expect(origins.every((origin) => origin === 'warm' || origin === 'restored')).toBe(true)
    await endAll(...ids)
    await becomes({ ready: 2 })
    expect(world.host.machines.size).toBe(2)
    expect(world.slots.made.size).toBe(2)
  })

  test('boots and says so while there is no snapshot', async () => {
    world = await SessionWorld.open({ pool: {} })
    world.snapshots.become({ status: 'building', code: null, why: 'the image is new' })
    const id = await ready('me')
    expect(await world.sessions.get(id)).toMatchObject({ machine_origin: 'booted' })
    const { reason } = await becomes({ ready: 0, wanted: 1 })
    expect(reason).toEqual({ code: null, detail: expect.stringContaining('the image is new') })
    world.snapshots.become({ status: 'failed', code: 'snapshot_build_failed', why: 'step painted' })
    await becomes({ reason: { code: 'snapshot_build_failed', detail: 'step painted' } })
  })

  test.each(['killed', 'files gone'])('gets its machine anew when the one that waited is broken: %s', async (how) => {
    await open()
    await becomes({ ready: 1 })
    const [id = ''] = await waiting()
    if (how === 'killed') world.host.kill(id, { vmm: 'terminating on signal 9' })
    else world.host.failNext('resume', new AppError('deadline_exceeded', { detail: 'question to the monitor' }))
    const session = await world.sessions.get(await ready('me'))
    expect(session).toMatchObject({ browser_vm_id: id, machine_origin: 'restored', failure: null })
    expect((await world.deps.metrics.render()).body).toContain('anteroom_pool_deaths_total 1')
    const { vmm, host, timeline } = await world.deps.evidence.read(id)
    expect(vmm).toBe(how === 'killed' ? 'terminating on signal 9' : undefined)
    expect(JSON.parse(host ?? '')).toMatchObject({ cores: 2, machines: 1 })
    expect(JSON.parse(timeline ?? '')).toMatchObject({ id, ready_at: expect.stringMatching(/Z$/) })
  })

  test('has all the time of a boot when what waited for hours is broken and must be booted', async () => {
    await open()
    await becomes({ ready: 1 })
    const [id = ''] = await waiting()
    await world.store.db.updateTable('machines').set({ created_at: 1 }).execute()
    world.host.kill(id)
    world.host.failNext('create', new AppError('snapshot_corrupt', { detail: 'memory' }))
    const guest = world.guest({ id })
    guest.isAnswering = false
    const asked = vi.spyOn(guest, 'hello')
    const session = await world.create()
    await world.reaches(session, 'vm_created')
    await expect.poll(() => asked.mock.calls.length).toBeGreaterThan(0)
    guest.isAnswering = true
    await world.reaches(session, 'ready', 'ended')
    expect(await world.sessions.get(session)).toMatchObject({ machine_origin: 'booted', failure: null })
  })

  test.each([
    ['snapshot_corrupt', 1],
    ['vmm_exited', 0],
    ['deadline_exceeded', 0],
  ] as const)('boots when the restore ends with %s', async (code, rejections) => {
    await open({ pool: { size: 0 } })
    world.host.failNext('create', new AppError(code, { detail: 'memory is truncated' }))
    const session = await world.sessions.get(await ready('me'))
    expect(session).toMatchObject({ machine_origin: 'booted', failure: null })
    expect(world.snapshots.rejected).toHaveLength(rejections)
    expect(await world.deps.leases.ofSession(world.store.db, session.id)).toMatchObject({ snapshot_id: null })
  })

  test('goes on after a crash between the machine and the row that says so', async () => {
    await open()
    await becomes({ ready: 1 })
    const { provide } = world.pool
    const provided = Promise.withResolvers<void>()
    world.pool.provide = async (lease, scope) => {
      await provide(lease, scope)
      provided.resolve()
      return await scope.race(new Promise<never>(() => {}))
    }
    const id = await world.create()
    await provided.promise
    await world.stopController()
    expect((await world.sessions.get(id)).status).toBe('starting')
    world.startController()
    await world.reaches(id, 'ready')
    expect(await world.sessions.get(id)).toMatchObject({ machine_origin: 'warm' })
  })

  test('is told why it has to wait, and what it waited for in vain', async () => {
    await open()
    await becomes({ ready: 1 })
    world.measurement = { ...world.measurement, availableMemoryMiB: 1_000 }
    const warned = vi.spyOn(world.deps.log, 'warn')
    onTestFinished(() => warned.mockRestore())
    const id = await world.create()
    await expect.poll(() => warned.mock.calls.map(([, message]) => message)).toContain('sessions have to wait')
    await world.store.db.updateTable('sessions').set({ expires_at: 1 }).where('id', '=', id).execute()
    await world.reaches(id, 'ended')
    expect((await world.sessions.get(id)).failure).toMatchObject({
      code: 'session_expired',
      detail: expect.stringMatching(
        /Not enough free memory: 1000 of 128000 MiB are available; a machine takes up to 1836/,
      ),
    })
    world.measurement = { ...world.measurement, availableMemoryMiB: 100_000 }
    expect(await world.sessions.get(await ready('you'))).toMatchObject({ machine_origin: 'warm' })
  })
})

describe('one machine', () => {
  test('is given to one of many that take it at once', async () => {
    await open({ pool: { size: 3 }, maxMachines: 16 })
    await becomes({ ready: 3 })
    const offer = await world.pool.offer(Scope.root('test'))
    await world.stopController()
    const sessions = await Promise.all(Array.from({ length: 12 }, (_, index) => world.create(`subject ${index}`)))
    const leases = await Promise.all(
      sessions.map((id) => world.store.transaction((tx) => world.pool.take(tx, offer, id))),
    )
    expect(leases.filter((lease) => lease.ready_at !== null)).toHaveLength(3)
    expect(new Set(leases.map((lease) => lease.id)).size).toBe(12)
    expect(leases.map((lease) => lease.session_id)).toEqual(sessions)
  })

  test('never becomes that of another session, whatever code tries', async () => {
    await open()
    await becomes({ ready: 1 })
    const [first, second] = [await ready('a'), await ready('b')]
    const give = (to: string | null) =>
      world.store.db.updateTable('machines').set({ session_id: to }).where('session_id', '=', first).execute()
    await expect(give(null)).rejects.toThrow('a machine serves one session')
    await expect(give(second)).rejects.toThrow()
  })
})

describe('the pool drains and fills again', () => {
  test('when an image is published while it is full, and sessions get the new one meanwhile', async () => {
    await open({ pool: { size: 3 } })
    await becomes({ ready: 3 })
    const before = await waiting()
    world.image = imageOf('2')
    const next = world.snapshots.publish(world.image.id, 'b')
    const session = await world.sessions.get(await ready('me'))
    expect(session.image_id).toBe(world.image.id)
    await becomes({ ready: 3, filling: 0, snapshot: { status: 'ready', id: next } })
    const leases = await world.deps.leases.all(world.store.db)
    expect(leases.every((lease) => lease.snapshot_id === next)).toBe(true)
    expect(before.some((id) => world.host.machines.has(id))).toBe(false)
  })

  test('when its snapshot is rejected, and stays empty until there is another', async () => {
    const snapshot = await open({ pool: { size: 2 } })
    await becomes({ ready: 2 })
    world.snapshots.reject(snapshot, 'truncated')
    await becomes({
      ready: 0,
      filling: 0,
      reason: { code: 'snapshot_corrupt', detail: expect.stringContaining('truncated') },
    })
    expect(world.host.machines.size).toBe(0)
    expect(world.slots.made.size).toBe(0)
    world.snapshots.publish(world.image.id, 'b')
    await becomes({ ready: 2 })
  })

  test('for a session that finds every slot held by machines of the old image', async () => {
    world = await SessionWorld.open({ pool: { size: 3, slots_ahead: 0 }, slots: new FakeSlots('user', 3) })
    world.snapshots.publish(world.image.id, 'a')
    await becomes({ ready: 3 })
    world.image = imageOf('2')
    // Without a snapshot of its own nothing that waits is of use.
    const ids = await Promise.all(['a', 'b', 'c'].map(ready))
    for (const id of ids) expect(await world.sessions.get(id)).toMatchObject({ machine_origin: 'booted' })
    const [fourth] = [await world.create('d')]
    await endAll(ids[0] ?? '')
    await world.reaches(fourth, 'ready')
  })
})

describe('a controller that starts again', () => {
  test('keeps what waits', async () => {
    await open({ pool: { size: 3 } })
    await becomes({ ready: 3 })
    const before = await waiting()
    await world.stopController()
    expect(states()).toEqual(['paused', 'paused', 'paused'])
    world.startController()
    expect(await world.sessions.get(await ready('me'))).toMatchObject({ machine_origin: 'warm' })
    await becomes({ ready: 3 })
    expect(await waiting()).toEqual(expect.arrayContaining(before.slice(1)))
  })

  test.each([
    ['is half made', async () => world.store.db.updateTable('machines').set({ ready_at: null }).execute()],
    ['runs, and nobody knows since when', async () => every((id) => world.host.wake(id))],
    ['died', async () => every((id) => world.host.kill(id))],
    ['has a row and nothing else', async () => world.host.machines.clear()],
    ['is of another configuration', async () => world.snapshots.publish(world.image.id, 'c')],
    [
      'is on a slot that is not made any more',
      async () => world.store.db.updateTable('machines').set({ vm_ip: '10.0.0.9' }).execute(),
    ],
    [
      'is on a slot of another kind',
      async () => world.store.db.updateTable('machines').set({ slot_kind: 'tap' }).execute(),
    ],
    [
      'is on a slot beyond the pool',
      async () => world.store.db.updateTable('machines').set({ slot_index: 99 }).execute(),
    ],
  ])('makes anew what %s', async (_, happen) => {
    await open()
    await becomes({ ready: 1 })
    const [old = ''] = await waiting()
    await world.stopController()
    await happen()
    world.startController()
    await expect.poll(waiting, { timeout: 5_000 }).not.toContain(old)
    await becomes({ ready: 1, filling: 0 })
    expect([...world.host.machines.keys()]).toEqual(await waiting())
    expect(await world.sessions.get(await ready('me'))).toMatchObject({ machine_origin: 'warm' })
  })

  test('sweeps around what waits', async () => {
    await open({ pool: { size: 2, slots_ahead: 2 }, slots: new FakeSlots('tap') })
    await becomes({ ready: 2 })
    const before = await waiting()
    await world.stopController()
    world.host.machines.set('vm_stray', { state: 'running', origin: 'booted', evidence: { console: '', vmm: '' } })
    world.slots.made.add(15)
    world.startController()
    await expect.poll(() => [world.host.machines.has('vm_stray'), world.slots.made.has(15)]).toEqual([false, false])
    expect(await waiting()).toEqual(before)
    expect([...world.host.machines.keys()]).toEqual(before)
    await expect.poll(() => world.slots.made.size).toBe(4)
  })
})

describe('slots', () => {
  test('are made ahead, and a session that boots on one does not wait for it', async () => {
    world = await SessionWorld.open({ pool: { size: 0, slots_ahead: 3 }, slots: new FakeSlots('tap') })
    await expect.poll(() => [...world.slots.made]).toEqual([0, 1, 2])
    const id = await ready('me')
    await expect.poll(() => world.slots.prepared).toEqual([0, 1, 2, 3])
    await endAll(id)
    await expect.poll(() => [...world.slots.made]).toEqual([1, 2, 3])
  })

  test('that no machine uses are not left by a controller that stops', async () => {
    world = await SessionWorld.open({ pool: { size: 1, slots_ahead: 2 }, slots: new FakeSlots('tap') })
    world.snapshots.publish(world.image.id, 'a')
    await becomes({ ready: 1 })
    await expect.poll(() => world.slots.made.size).toBe(3)
    const id = await ready('me')
    await becomes({ ready: 1 })
    await expect.poll(() => world.slots.made.size).toBe(4)
    await world.stopController()
    expect(world.slots.made.size).toBe(2)
    world.startController()
    await expect.poll(() => world.slots.made.size).toBe(4)
    expect((await world.sessions.get(id)).status).toBe('ready')
  })

  test('that fell apart meanwhile are made again', async () => {
    world = await SessionWorld.open({ pool: { size: 0, slots_ahead: 1 }, slots: new FakeSlots('tap') })
    await expect.poll(() => world.slots.prepared).toEqual([0])
    world.slots.made.clear()
    await ready('me')
    expect(world.slots.prepared.filter((index) => index === 0)).toHaveLength(2)
  })
})
