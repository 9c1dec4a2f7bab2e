import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '@anteroom/base'
import { afterEach, expect, test } from 'vitest'
import { SessionWorld } from '../../test/session-world.ts'

let world: SessionWorld
afterEach(() => world.close())

/** Of the only machine there was. */
const asked = () => [...world.guests.values()].flatMap(({ lastAsked }) => lastAsked)

test('the timeline is kept beside what the machine said, and names no person', async () => {
  world = await SessionWorld.open()
  const id = await world.create('ada@example.com')
  await world.reaches(id, 'ready')
  world.host.kill((await world.sessions.get(id)).browser_vm_id ?? '', { console: 'the last line\n' })
  await world.reaches(id, 'ended')
  const { console, timeline = '' } = await world.deps.evidence.read(id)
  expect(console).toBe('the last line\n')
  const { stages, ...rest } = JSON.parse(timeline)
  expect(rest).toMatchObject({
    id,
    outcome: 'failed',
    code: 'vmm_exited',
    browser_vm_id: expect.stringMatching(/^vm_/),
  })
  expect(stages.map((stage: { name: string }) => stage.name)).toEqual(
    expect.arrayContaining(['queue', 'machine', 'teardown']),
  )
  expect(timeline).not.toContain('ada@')
})

test('nothing is asked of a machine that never ran', async () => {
  world = await SessionWorld.open()
  world.host.failNext('create', new AppError('vmm_exited'))
  await world.reaches(await world.create(), 'ended')
  expect(world.guests.size).toBe(1)
  expect(asked()).toEqual([])
})

test.each([
  ['has died', (id: string) => world.host.kill(id)],
  ['does not run', (id: string) => world.host.pause(id)],
])('nothing is asked of a machine that %s', async (_, stop) => {
  world = await SessionWorld.open()
  const id = await world.create()
  await world.reaches(id, 'ready')
  stop((await world.sessions.get(id)).browser_vm_id ?? '')
  await world.sessions.requestEnd(id, 'cancelled')
  await world.reaches(id, 'ended')
  expect(asked()).toEqual([])
})

test('one that runs and is silent is asked for its log, and to wipe', async () => {
  world = await SessionWorld.open()
  const id = await world.create()
  await world.reaches(id, 'ready')
  ;(await world.guestOf(id)).isAnswering = false
  await world.sessions.requestEnd(id, 'cancelled')
  await world.reaches(id, 'ended')
  expect(asked()).toEqual(['log', 'wipe'])
})

test('nothing is asked of a machine that was still booting when nobody wanted it any more', async () => {
  world = await SessionWorld.open()
  world.greeting = async () => undefined
  const id = await world.create()
  await world.reaches(id, 'vm_created')
  await world.sessions.requestEnd(id, 'cancelled')
  await world.reaches(id, 'ended')
  expect(asked()).toEqual([])
})

test('one whose boot failed is asked for its log alone', async () => {
  world = await SessionWorld.open()
  world.greeting = () => Promise.reject(new AppError('agent_incompatible'))
  const id = await world.create()
  await world.reaches(id, 'ended')
  expect(asked()).toEqual(['log'])
  expect(await readFile(join(world.home, 'evidence', id, 'agent.log'), 'utf8')).toContain('agent: hello')
})
