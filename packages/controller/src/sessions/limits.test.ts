import { newId } from '@anteroom/base'
import { defaultProjectId } from '@anteroom/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { testAudit } from '../../test/test-audit.ts'
import { configSchema } from '../config.ts'
import { createEvents } from '../events/events.ts'
import { ManualClock } from '../live/live.fixture.ts'
import type { Presence } from '../live/live.ts'
import { openStore, type Row, type Store } from '../store/store.ts'
import { createLimits, firstLimits, type Limits, limitsOfReady } from './limits.ts'
import { createSessionRows } from './session-rows.ts'

const timeouts = configSchema.parse({
  timeouts: { session_seconds: 600, max_session_seconds: 1500, idle_seconds: 120, first_connect_seconds: 100 },
}).timeouts

let clock: ManualClock
let store: Store
let limits: Limits
let presence: Map<string, Presence>
beforeEach(async () => {
  clock = new ManualClock()
  store = await openStore(':memory:')
  startController()
  await limits.enforce()
})
afterEach(() => store.close())

/** What was seen of people goes with the process that saw it. */
function startController(): void {
  presence = new Map()
  const events = createEvents({ store, clock })
  const audit = testAudit({ store, clock })
  const config = { ...configSchema.parse({}), timeouts, home: '/nowhere' }
  const live = { presenceOf: (id: string) => presence.get(id) }
  limits = createLimits(
    { store, clock, events, audit, config, live },
    createSessionRows({ store, events, audit, clock }, () => null),
  )
}

const vm = { browser_vm_id: 'vm_1', vm_ip: '127.213.0.1', vnc_url: 'vnc://127.213.0.1:5900', image_id: 'img_1' }

async function session(over: Partial<Row<'sessions'>> = {}): Promise<string> {
  const id = newId('session')
  const named = {
    id,
    project_id: defaultProjectId,
    provider: 'demo',
    provider_definition: '{}',
    subject: 'me',
    entry_hash: 'hash',
  }
  const plain = { version: 1, capture_requested: 0, attempt: 0, not_before: 0 }
  const now = clock.now()
  await store.db
    .insertInto('sessions')
    .values({
      ...{ ...named, ...plain, ...vm, status: 'ready', created_at: now },
      ...{ ...firstLimits(timeouts, { provider: 'demo', subject: 'me' }, now), ...limitsOfReady(timeouts, now) },
      ...over,
    })
    .execute()
  return id
}

/** Somebody with control has just done something, and the rows say so. */
async function doesSomething(id: string): Promise<void> {
  presence.set(id, { openedAt: 0, inputAt: clock.now() })
  await limits.enforce()
}

const rowOf = (id: string): Promise<Row<'sessions'>> =>
  store.db.selectFrom('sessions').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
const left = async (id: string) => {
  const { expires_at, idle_expires_at, first_connect_expires_at } = await rowOf(id)
  const seconds = (at: number | null): number | null => (at === null ? null : (at - clock.now()) / 1000)
  return { hard: seconds(expires_at), idle: seconds(idle_expires_at), first: seconds(first_connect_expires_at) }
}
const eventsOf = async (id: string): Promise<string[]> =>
  (await store.db.selectFrom('events').selectAll().where('session_id', '=', id).execute()).map(
    ({ type, data }) => `${type} ${data}`,
  )

describe('the end is asked for, once, with the limit that was reached', () => {
  test('nobody comes', async () => {
    const id = await session()
    await clock.pass(99)
    expect(await limits.enforce()).toEqual([])
    await clock.pass(1)
    expect(await limits.enforce()).toEqual([id])
    expect(await rowOf(id)).toMatchObject({ end_requested: 'expired', expired_by: 'session_never_opened' })
    expect(await limits.enforce()).toEqual([])
  })

  test('somebody came and does nothing more', async () => {
    const id = await session()
    await clock.pass(50)
    await doesSomething(id)
    expect(await left(id)).toEqual({ hard: 550, idle: 120, first: null })
    expect(await eventsOf(id)).toEqual(['viewer {"opened":true}'])
    await clock.pass(119)
    expect(await limits.enforce()).toEqual([])
    await clock.pass(1)
    expect(await limits.enforce()).toEqual([id])
    expect(await rowOf(id)).toMatchObject({ expired_by: 'session_idle' })
  })

  test('somebody is busy until the hard limit', async () => {
    const id = await session()
    for (let second = 0; second < 600; second += 10) {
      await doesSomething(id)
      await clock.pass(10)
    }
    expect(await limits.enforce()).toEqual([id])
    expect(await rowOf(id)).toMatchObject({ expired_by: 'session_expired' })
  })

  test('the first of two that passed while nobody looked is the reason', async () => {
    const [never, hard] = [await session(), await session({ expires_at: clock.now() + 60_000 })]
    await clock.pass(1000)
    expect(await limits.enforce()).toHaveLength(2)
    expect(await rowOf(never)).toMatchObject({ expired_by: 'session_never_opened' })
    expect(await rowOf(hard)).toMatchObject({ expired_by: 'session_expired' })
  })

  test.each(['queued', 'starting', 'capturing'] as const)('while it is %s only the hard one', async (status) => {
    const id = await session({ status, first_connect_expires_at: null })
    presence.set(id, { openedAt: 0, inputAt: clock.now() })
    await clock.pass(599)
    expect(await limits.enforce()).toEqual([])
    await clock.pass(1)
    expect(await limits.enforce()).toEqual([id])
    expect(await rowOf(id)).toMatchObject({ expired_by: 'session_expired' })
  })
})

describe('what somebody does', () => {
  test('is written every few seconds, not at each key, and changes no version', async () => {
    const id = await session()
    await doesSomething(id)
    const before = await rowOf(id)
    await clock.pass(4)
    await doesSomething(id)
    expect(await rowOf(id)).toEqual(before)
    await clock.pass(1)
    await doesSomething(id)
    expect(await rowOf(id)).toEqual({ ...before, idle_expires_at: clock.now() + 120_000 })
    expect(await eventsOf(id)).toHaveLength(1)
  })

  test('counts to the last key, also one that was not worth a line at its time', async () => {
    const id = await session()
    await doesSomething(id)
    await clock.pass(4)
    presence.set(id, { openedAt: 0, inputAt: clock.now() })
    await clock.pass(118)
    expect(await limits.enforce()).toEqual([])
    expect((await left(id)).idle).toBe(2)
    await clock.pass(2)
    expect(await limits.enforce()).toEqual([id])
  })

  test('does not bring back a session that is to end, nor a limit of one whose person is done', async () => {
    const ending = await session({ end_requested: 'cancelled' })
    const done = await session({ capture_requested: 1, first_connect_expires_at: null })
    await doesSomething(ending)
    await doesSomething(done)
    expect((await left(ending)).idle).toBeNull()
    expect((await left(done)).idle).toBeNull()
  })
})

describe('a controller that starts again', () => {
  test('gives those a minute who could not type meanwhile, and takes nothing from the others', async () => {
    const [late, early, waiting] = [await session(), await session(), await session()]
    await doesSomething(late)
    await clock.pass(90)
    await doesSomething(early)
    await clock.pass(20)
    startController()
    expect(await limits.enforce()).toEqual([])
    expect(await left(late)).toEqual({ hard: 490, idle: 60, first: null })
    expect(await left(early)).toEqual({ hard: 490, idle: 100, first: null })
    expect(await left(waiting)).toEqual({ hard: 490, idle: null, first: 60 })
    await clock.pass(60)
    expect((await limits.enforce()).toSorted()).toEqual([late, waiting].toSorted())
  })

  test('takes no view that opens itself again for a person', async () => {
    const id = await session()
    presence.set(id, { openedAt: clock.now(), inputAt: undefined })
    await limits.enforce()
    expect((await left(id)).idle).toBe(120)
    await clock.pass(100)
    startController()
    presence.set(id, { openedAt: clock.now(), inputAt: undefined })
    await limits.enforce()
    expect((await left(id)).idle).toBe(60)
  })

  test('gives no time at all beyond the hard limit', async () => {
    const id = await session()
    await doesSomething(id)
    await clock.pass(600)
    startController()
    expect(await limits.enforce()).toEqual([id])
  })
})

describe('an extension', () => {
  const more = { idle_only: false }

  test('moves the hard limit by the usual time, as far as the maximum, and then is refused', async () => {
    const id = await session()
    await doesSomething(id)
    await clock.pass(100)
    await limits.extend(id, more)
    expect(await left(id)).toEqual({ hard: 1100, idle: 120, first: null })
    await limits.extend(id, more)
    expect((await left(id)).hard).toBe(1400)
    const before = await rowOf(id)
    await clock.pass(1)
    await expect(limits.extend(id, more)).rejects.toMatchObject({ code: 'extension_refused' })
    expect(await rowOf(id)).toEqual(before)
    await limits.extend(id, { idle_only: true })
    expect(await left(id)).toEqual({ hard: 1399, idle: 120, first: null })
    const until = (seconds: number): string => new Date(before.created_at + seconds * 1000).toISOString()
    expect((await eventsOf(id)).slice(1)).toEqual([
      `extended {"expires_at":"${until(1200)}","idle_only":false}`,
      `extended {"expires_at":"${until(1500)}","idle_only":false}`,
      `extended {"expires_at":"${until(1500)}","idle_only":true}`,
    ])
  })

  test('gives somebody who has not come yet the time to come anew', async () => {
    const id = await session()
    await clock.pass(90)
    await limits.extend(id, { idle_only: true })
    expect(await left(id)).toEqual({ hard: 510, idle: null, first: 100 })
  })

  test('is for one that lives: not once it is over, or is to end', async () => {
    const [late, ending] = [await session(), await session({ end_requested: 'cancelled' })]
    await expect(limits.extend(ending, more)).rejects.toMatchObject({ code: 'session_over' })
    // Its time is over, though nobody has written that down.
    await clock.pass(600)
    await expect(limits.extend(late, more)).rejects.toMatchObject({ code: 'session_over' })
    await expect(limits.extend(newId('session'), more)).rejects.toMatchObject({ code: 'not_found' })
  })

  test('is refused for a row of before there were any', async () => {
    const id = await session({ may_extend_until: null })
    await expect(limits.extend(id, more)).rejects.toMatchObject({ code: 'extension_refused' })
  })
})

test('a request for more than the operator allows names the field and the maximum', () => {
  expect(() => firstLimits(timeouts, { provider: 'demo', subject: 'me', timeout_seconds: 1501 }, 0)).toThrow(
    expect.objectContaining({
      code: 'invalid_request',
      fields: [{ pointer: '/timeout_seconds', message: expect.stringContaining('1500') }],
    }),
  )
})
