import { readFile } from 'node:fs/promises'
import type { Session } from '@anteroom/contract'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ControllerProcess, cleanHome, startControllerProcess } from '../harness/controller-process.ts'
import { instanceOf, noTraces, tracesOf } from '../harness/traces.ts'
import { launchBrowser } from './harness/browser.ts'
import { signInAsPerson } from './harness/person.ts'

let controller: ControllerProcess
let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
  controller = await startControllerProcess('warm-pool', { pool: { size: 1, slots_ahead: 1 } })
})
afterAll(async () => {
  await browser?.close()
  await controller?.remove()
})

const cpuTicks = async (pid: number): Promise<number> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

/** The one machine that waits, as the host has it. */
async function waiting() {
  const [machine] = await controller.api.poolReady(1)
  if (!machine) throw new Error('no machine waits')
  const { id, vm_ip: ip } = machine
  const place = { id, ip, home: controller.home, instance: await instanceOf(id) }
  const [pid] = (await tracesOf(place)).processes
  if (pid === undefined) throw new Error(`${id} has no process`)
  return { id, pid, place }
}

const live = (id: string): Promise<Session> => controller.api.until(id, 'live', ({ status }) => status === 'ready')

async function cancel(id: string): Promise<void> {
  await controller.api.call('POST', `/v1/sessions/${id}/cancel`, { body: {} })
  await controller.api.ended(id)
}

test('a person signs in on a machine that waited, and another one takes its place', async () => {
  const before = await waiting()
  const ticks = await cpuTicks(before.pid)
  const created = await controller.api.createSession('demo-site', 'ada')
  // Until it was taken it had nothing to do.
  expect(ticks).toBeLessThan(100)
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 860 } })).newPage()
  await signInAsPerson(page, created.hosted_url, 'demo-site')
  await page.locator('[data-testid=status][data-outcome=completed]').waitFor({ state: 'attached', timeout: 120_000 })
  expect(await controller.api.ended(created.id)).toMatchObject({
    outcome: 'completed',
    machine_origin: 'warm',
    browser_vm_id: before.id,
  })
  expect((await waiting()).id).not.toBe(before.id)
  expect((await tracesOf(before.place)).processes).toEqual([])
  await page.context().close()
})

test('a machine that died while it waited costs its session nothing but the wait for another', async () => {
  const { id, pid } = await waiting()
  process.kill(pid, 'SIGKILL')
  const created = await controller.api.createSession('demo-site', 'grace')
  expect(await live(created.id)).toMatchObject({ machine_origin: 'restored', browser_vm_id: id })
  await cancel(created.id)
})

test('what waits outlives the controller, and serves a session of the next one', async () => {
  const { id, pid } = await waiting()
  controller = await controller.crash()
  expect(await waiting()).toMatchObject({ id, pid })
  const created = await controller.api.createSession('demo-site', 'ada')
  expect(await live(created.id)).toMatchObject({ machine_origin: 'warm', browser_vm_id: id })
  await cancel(created.id)
})

test('more at once than wait are restored', async () => {
  await waiting()
  const ids = [
    await controller.api.createSession('demo-site', 'a'),
    await controller.api.createSession('demo-site', 'b'),
  ]
  const origins = await Promise.all(ids.map(async ({ id }) => (await live(id)).machine_origin))
  expect(origins.sort()).toEqual(['restored', 'warm'])
  for (const { id } of ids) await cancel(id)
})

test('npm run clean takes what waits as well', async () => {
  const { place } = await waiting()
  await controller.stop()
  expect((await tracesOf(place)).processes).toHaveLength(1)
  await cleanHome(controller.home)
  // Files go with the directory, which `npm run clean` removes next.
  expect({ ...(await tracesOf(place)), directories: [] }).toEqual(noTraces)
})
