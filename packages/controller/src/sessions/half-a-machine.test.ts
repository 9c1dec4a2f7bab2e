import { afterEach, beforeEach, expect, test } from 'vitest'
import { SessionWorld } from '../../test/session-world.ts'
import { ManualClock } from '../live/live.fixture.ts'

const bootSeconds = 40
let clock: ManualClock
let world: SessionWorld
beforeEach(async () => {
  clock = new ManualClock()
  world = await SessionWorld.open({ clock, timeouts: { boot_seconds: bootSeconds } })
})
afterEach(() => world.close())

const silent = async () => undefined

/** Of a session whose machine runs; the console says so much. */
async function boot(console: string): Promise<string> {
  const id = await world.create()
  await world.reaches(id, 'vm_created')
  const machine = world.host.machines.get((await world.sessions.get(id)).browser_vm_id ?? '')
  if (!machine) throw new Error('there is no machine')
  machine.evidence = { ...machine.evidence, console }
  return id
}

const keepsSilent = (): void => {
  world.greeting = silent
}
const paintsNothing = (): void => {
  world.deps.live.isPainted = async () => false
}

test.each([
  ['boot_timeout', 'boot', 'the kernel hangs', keepsSilent, 'Linux version 6.12'],
  ['agent_unreachable', 'boot', 'the agent never starts', keepsSilent, 'anteroom: user space'],
  ['display_blank', 'screen', 'nothing is painted', paintsNothing, 'anteroom: user space'],
] as const)('%s in stage %s: %s in time', async (code, stage, _what, breakIt, console) => {
  breakIt()
  const id = await boot(console)
  await clock.pass(bootSeconds - 2)
  expect((await world.sessions.get(id)).status).toBe('vm_created')
  // It is asked some more times before it is given up.
  while ((await world.sessions.get(id)).status !== 'ended') await clock.pass(1)
  expect(await world.sessions.get(id)).toMatchObject({ outcome: 'failed', failure: { code, stage } })
  expect(await world.leftovers()).toEqual([])
})

test.each([
  ['display_lost', { display: 'lost' }],
  ['browser_crashed', { browser: 'crashed' }],
] as const)('%s: the agent has given up starting it again while the person signs in', async (code, lost) => {
  const id = await world.create()
  await world.reaches(id, 'ready')
  Object.assign(await world.guestOf(id), lost)
  await clock.pass(2)
  await world.reaches(id, 'ended')
  expect(await world.sessions.get(id)).toMatchObject({ outcome: 'failed', failure: { code, stage: 'sign_in' } })
  expect(await world.leftovers()).toEqual([])
})
