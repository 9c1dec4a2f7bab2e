import { readFile } from 'node:fs/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { listProcesses, treeOf } from '../processes.ts'
import { startTestMachine, type TestMachine } from '../testing/test-machine.ts'

let machine: TestMachine
beforeEach(async () => {
  machine = await startTestMachine()
  await machine.untilStatus(({ browser, display }) => browser === 'up' && display === 'up')
})
afterEach(() => machine.close())

/** Of the browser's processes: how each is, as in proc_pid_stat(5). */
async function browserStates(): Promise<string[]> {
  const commandLine = ({ pid }: { pid: number }) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  const processes = await listProcesses()
  const own = treeOf(process.pid, processes)
  const lines = await Promise.all(own.map(commandLine))
  const root = own[lines.findIndex((line) => line.includes('--remote-debugging-pipe') && !line.includes('--type='))]
  const stats = treeOf(root?.pid ?? 0, processes).map(({ pid }) => readFile(`/proc/${pid}/stat`, 'utf8'))
  return (await Promise.all(stats)).map((stat) => stat.slice(stat.lastIndexOf(')') + 2)[0] ?? '')
}

test('every process of it stands still, and goes on when it is renewed', async () => {
  const { scope, agent } = machine
  await agent.browser.endSpareRenderers(scope)
  expect((await browserStates()).length).toBeGreaterThan(3)
  await agent.browser.freeze(scope)
  expect(new Set(await browserStates())).toEqual(new Set(['T']))
  agent.browser.renew()
  expect(await browserStates()).not.toContain('T')
  // Its processes still speak with each other.
  await agent.browser.show('data:text/html,<title>after</title>', scope)
  await scope.run({ name: 'the page', deadlineMs: 20_000 }, (waiting) =>
    waiting.until(() => agent.browser.pages.find(({ url, loading }) => url.startsWith('data:') && !loading), 50),
  )
})
