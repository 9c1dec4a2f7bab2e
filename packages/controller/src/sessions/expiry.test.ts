import { AppError } from '@anteroom/base'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { SessionWorld } from '../../test/session-world.ts'
import { ManualClock } from '../live/live.fixture.ts'

let clock: ManualClock
let world: SessionWorld
beforeEach(async () => {
  clock = new ManualClock()
  world = await SessionWorld.open({ clock, timeouts: { idle_seconds: 120, first_connect_seconds: 100 } })
})
afterEach(() => world.close())

async function aReadyOne(): Promise<string> {
  const id = await world.create()
  await world.reaches(id, 'ready')
  return id
}

/** By and by, so that the reconciler sees each minute pass; then it has looked at the rows as they are now. */
async function pass(seconds: number, each: () => void = () => {}): Promise<void> {
  for (let left = seconds; left > 0; left -= 10) {
    each()
    await clock.pass(Math.min(left, 10))
    // A whole round of the reconciler.
    const next = await world.create('next')
    await world.reaches(next, 'starting', 'vm_created', 'ready')
    await world.sessions.requestEnd(next, 'cancelled')
    await world.reaches(next, 'ended')
  }
}

const comes = (id: string): void => void world.presence.set(id, { openedAt: clock.now(), inputAt: undefined })
const types = (id: string): void => void world.presence.set(id, { openedAt: 0, inputAt: clock.now() })

test('nobody comes: the row says so, and nothing is left', async () => {
  const id = await aReadyOne()
  expect(await world.sessions.get(id)).toMatchObject({
    first_connect_expires_at: new Date(clock.now() + 100_000).toISOString(),
    idle_expires_at: null,
    may_extend_until: new Date(clock.now() + 3_600_000).toISOString(),
  })
  await pass(90)
  expect((await world.sessions.get(id)).status).toBe('ready')
  await pass(10)
  await world.reaches(id, 'ended')
  expect(await world.sessions.get(id)).toMatchObject({
    ...{ outcome: 'expired', first_connect_expires_at: null, idle_expires_at: null },
    failure: { code: 'session_never_opened', stage: 'sign_in', detail: expect.stringContaining('100 s') },
  })
  expect(await world.leftovers()).toEqual([])
})

test('who types stays, who stops typing is idle, and whoever comes back in time stays again', async () => {
  const id = await aReadyOne()
  comes(id)
  await pass(60)
  expect(await world.sessions.get(id)).toMatchObject({ first_connect_expires_at: null, status: 'ready' })
  await pass(300, () => types(id))
  types(id)
  await pass(110)
  expect((await world.sessions.get(id)).status).toBe('ready')
  types(id)
  await pass(110)
  expect((await world.sessions.get(id)).status).toBe('ready')
  await pass(10)
  await world.reaches(id, 'ended')
  expect((await world.sessions.get(id)).failure).toMatchObject({ code: 'session_idle' })
  expect(await world.leftovers()).toEqual([])
})

test('whose person said that they are done is not idle, however long the vault takes', async () => {
  const id = await aReadyOne()
  comes(id)
  await pass(10)
  const { store } = world.deps.vault
  world.deps.vault.store = async () => Promise.reject(new AppError('vault_unavailable'))
  await world.sessions.requestCapture(id)
  expect((await world.sessions.get(id)).idle_expires_at).toBeNull()
  await pass(300)
  expect((await world.sessions.get(id)).status).toBe('capturing')
  world.deps.vault.store = store.bind(world.deps.vault)
  await pass(40)
  await world.reaches(id, 'ended')
  expect((await world.sessions.get(id)).outcome).toBe('completed')
})

test('a restart gives a minute to come back in, and no more', async () => {
  const id = await aReadyOne()
  comes(id)
  await pass(110)
  await world.stopController()
  await clock.pass(60)
  world.startController()
  await pass(50)
  expect((await world.sessions.get(id)).status).toBe('ready')
  await pass(20)
  await world.reaches(id, 'ended')
  expect((await world.sessions.get(id)).failure).toMatchObject({ code: 'session_idle' })
})

test('an extension is told by an event, and refused once the session has ended', async () => {
  const id = await aReadyOne()
  const { expires_at } = await world.sessions.get(id)
  const extended = await world.sessions.extend(id, { idle_only: false })
  expect(Date.parse(extended.expires_at) - Date.parse(expires_at)).toBe(900_000)
  await world.sessions.requestEnd(id, 'cancelled')
  await world.reaches(id, 'ended')
  await expect(world.sessions.extend(id, { idle_only: true })).rejects.toMatchObject({ code: 'session_over' })
  const told: string[] = []
  for await (const { type } of world.deps.events.stream(id, 0, AbortSignal.timeout(50))) told.push(type)
  expect(told.filter((type) => type === 'extended')).toHaveLength(1)
})
