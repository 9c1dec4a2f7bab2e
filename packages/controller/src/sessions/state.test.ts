import { systemClock } from '@anteroom/base'
import { type SessionStatus, sessionStatuses } from '@anteroom/contract'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SessionWorld } from '../../test/session-world.ts'
import { createSessionRows, type SessionRows } from './session-rows.ts'
import { mayBecome } from './state.ts'

let world: SessionWorld
let rows: SessionRows
beforeAll(async () => {
  world = await SessionWorld.open()
  // Nobody but the test moves these rows.
  await world.stopController()
  rows = createSessionRows({ ...world.deps, clock: systemClock }, () => null)
})
afterAll(() => world.close())

/** What a row must gain to be in a state, as the lifecycle gives it. */
const changeFor = (status: SessionStatus) => {
  if (status === 'vm_created')
    return { browser_vm_id: 'vm_1', vm_ip: '10.213.0.2', vnc_url: 'vnc://10.213.0.2:5900', image_id: 'img_1' }
  if (status === 'ending') return { outcome: 'cancelled' as const }
  return status === 'ended' ? { ended_at: 1 } : {}
}

test('whatever is tried in whatever order, a row moves along the table only, and each move is told once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...sessionStatuses), { maxLength: 20 }), async (wanted) => {
      const id = await world.create()
      let moves = 0
      for (const status of wanted) {
        const before = await rows.load(world.store.db, id)
        const moving = rows.move(before, status, null, changeFor(status))
        if (mayBecome(before.status, status)) {
          expect((await moving).version).toBe(before.version + 1)
          moves++
        } else {
          await expect(moving).rejects.toMatchObject({ code: 'session_not_ready' })
          expect(await rows.load(world.store.db, id)).toEqual(before)
        }
      }
      const told = await world.store.db
        .selectFrom('events')
        .selectAll()
        .where('session_id', '=', id)
        .where('type', '=', 'status')
        .execute()
      expect(told).toHaveLength(moves)
    }),
    { numRuns: 60 },
  )
})

test('who read an older version of the row moves nothing', async () => {
  const id = await world.create()
  const read = await rows.load(world.store.db, id)
  await rows.move(read, 'ending', 'teardown', { outcome: 'cancelled' })
  await expect(rows.move(read, 'starting', 'network')).rejects.toMatchObject({ code: 'session_not_ready' })
  expect((await rows.load(world.store.db, id)).status).toBe('ending')
})
