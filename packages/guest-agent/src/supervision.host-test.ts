import { execFile } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { promisify } from 'node:util'
import { agentHello } from '@anteroom/contract'
import { openMachine, openScreenWithoutPassword } from '@anteroom/rfb'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startTestMachine, type TestMachine } from './testing/test-machine.ts'

let machine: TestMachine
let site: Server
let start: string

beforeEach(async () => {
  site = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<title>Here</title><h1>Here</h1>')
  })
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  start = `http://site.test:${(site.address() as AddressInfo).port}/start`
  machine = await startTestMachine()
  await machine.untilStatus(({ browser, display }) => browser === 'up' && display === 'up')
  await machine.open({
    name: 'site',
    title: 'Site',
    kind: 'website',
    start_url: start,
    capture: { cookies: ['site.test'], storage: [] },
    egress: { allow: ['site.test'] },
  })
  await machine.untilStatus(({ phase }) => phase === 'waiting')
})

afterEach(async () => {
  await machine.close()
  site.closeAllConnections()
  await new Promise((resolve) => site.close(resolve))
})

/** Processes that this test's agent started, by what their command line holds. */
async function pidsOf(commandLine: string): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-ww', '-o', 'pid=,ppid=,args='])
  const rows = stdout.split('\n').map((line) => /^ *(\d+) +(\d+) (.*)$/.exec(line))
  return rows.flatMap((row) =>
    row?.[3]?.includes(commandLine) && Number(row[2]) === process.pid ? [Number(row[1])] : [],
  )
}

const kill = async (commandLine: string): Promise<void> => {
  const pids = await pidsOf(commandLine)
  expect(pids).toHaveLength(1)
  for (const pid of pids) process.kill(pid, 'SIGKILL')
}

test('the last window closes: another opens at the same place, in the same browser', async () => {
  const [before] = await pidsOf('--remote-debugging-pipe')
  const page = await machine.pageAt(start)
  await page.close(machine.scope)
  await machine.scope.until(() => (machine.agent.browser.pages.includes(page) ? undefined : true), 10)
  await machine.pageAt(start)
  expect(await pidsOf('--remote-debugging-pipe')).toEqual([before])
})

test('the browser dies: it comes back where it was', async () => {
  const { version } = await machine.untilStatus(({ browser }) => browser === 'up')
  await kill('--remote-debugging-pipe')
  await machine.untilStatus((status) => status.version > version && status.browser === 'starting')
  await machine.untilStatus(({ browser }) => browser === 'up')
  expect((await machine.pageAt(start)).url).toBe(start)
})

test('the display dies: all of it comes back', async () => {
  const { version } = await machine.untilStatus(({ browser }) => browser === 'up')
  await kill('-displayfd')
  await machine.untilStatus((status) => status.version > version && status.display === 'starting')
  await machine.untilStatus((status) => status.version > version + 1 && status.display === 'up')
  const hands = await machine.hands()
  hands.close()
  await machine.untilStatus(({ browser, display }) => browser === 'up' && display === 'up')
  await machine.pageAt(start)
})

test('a page crashes: its tab lives on', async () => {
  const page = await machine.pageAt(start)
  await page.navigate('chrome://crash', machine.scope).catch(() => {})
  await machine.scope.until(() => (machine.log().includes('a page crashed') ? true : undefined), 20)
  await page.navigate(start, machine.scope)
  expect(await page.evaluate('document.title', machine.scope)).toBe('Here')
})

test('the screen is open to the password of the claim alone', async () => {
  const { rfbPort: port, scope } = machine
  await expect(openMachine({ ip: '127.0.0.1', port, password: 'password' }, scope)).rejects.toThrow('refuses')
  await expect(openScreenWithoutPassword(connect(port, '127.0.0.1'), scope)).rejects.toThrow('does not offer')
  const hands = await machine.hands()
  hands.close()
})

test('hello tells the truth, and nothing else answers without the secret', async () => {
  const address = `http://127.0.0.1:${machine.agent.port}`
  const hello = agentHello.parse(await (await fetch(`${address}/v1/hello`)).json())
  expect(hello).toMatchObject({ claimed: true, display: 'up', browser: 'up' })
  for (const path of ['/v1/status', '/v1/log', '/v1/egress', '/v1/nothing'])
    expect((await fetch(address + path)).status).toBe(401)
  const page = await fetch(`${address}/v1/hello`, { headers: { origin: 'https://evil.test' } })
  expect([page.status, await page.json()]).toMatchObject([403, { code: 'origin_refused' }])
})
