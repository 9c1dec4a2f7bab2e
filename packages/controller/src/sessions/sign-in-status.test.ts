import { type Clock, Scope, silentLog, systemClock } from '@anteroom/base'
import type { AgentStatus } from '@anteroom/contract'
import { expect, test } from 'vitest'
import { statusesOf } from './sign-in-status.ts'

test('a guest that always has news is asked again after a pause only, and no news are lost', async () => {
  const pauses: { readonly ms: number; readonly end: () => void }[] = []
  const clock: Clock = {
    ...systemClock,
    delay: (ms) => new Promise((resolve) => pauses.push({ ms, end: resolve })),
  }
  const asked: number[] = []
  const agent = {
    async status(after: number): Promise<AgentStatus> {
      asked.push(after)
      return { version: after + 1, phase: 'waiting', display: 'up', browser: 'up', failure: null }
    },
  }
  const statuses = statusesOf(agent, Scope.root('test', silentLog, clock))
  expect((await statuses.next()).value).toMatchObject({ version: 1 })
  let second: AgentStatus | undefined
  const next = statuses.next().then(({ value }) => {
    second = value
  })
  // Far more turns of the event loop than another question takes.
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(asked).toEqual([0])
  expect(second).toBeUndefined()
  expect(pauses.map(({ ms }) => ms)).toEqual([100])
  pauses[0]?.end()
  await next
  expect(second).toMatchObject({ version: 2 })
  expect(asked).toEqual([0, 1])
})
