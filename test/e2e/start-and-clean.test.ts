import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ControllerProcess, cleanHome, startControllerProcess } from '../harness/controller-process.ts'
import { firewallsOf, instanceOf, noTraces, tracesOf } from '../harness/traces.ts'

/** Others may not set one. */
const wanted = process.getuid?.() === 0 ? 1 : 0
let controller: ControllerProcess
beforeEach(async () => {
  const startedAt = performance.now()
  controller = await startControllerProcess('start', {}, { entry: 'bootstrap/start.mjs' })
  console.log(`npm start with everything there: ready after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
})
afterEach(() => controller?.remove())

test('npm start says where the controller is, and ends it cleanly', async () => {
  expect((await controller.api.call('GET', '/readyz', { key: null })).status).toBe(200)
  expect(await firewallsOf(controller.home)).toHaveLength(wanted)
  expect(await controller.stop()).toBe(0)
  // It has left no machine that would have to be guarded.
  expect(await firewallsOf(controller.home)).toEqual([])
  await expect(fetch(controller.url)).rejects.toThrow()
})

test('npm run clean ends a machine whose controller was killed', async () => {
  const { id: sessionId } = await controller.api.createSession('demo', 'ada')
  const { browser_vm_id, vm_ip } = await controller.api.until(sessionId, 'created', (session) => session.vm_ip !== null)
  const id = browser_vm_id ?? ''
  const place = { id, ip: vm_ip ?? '', home: controller.home, instance: await instanceOf(id) }
  process.kill(controller.pid, 'SIGKILL')
  expect((await tracesOf(place)).processes).toHaveLength(1)
  expect(await firewallsOf(controller.home)).toHaveLength(wanted)

  await cleanHome(controller.home)
  // Files go with the directory, which `npm run clean` removes next.
  expect({ ...(await tracesOf(place)), directories: [] }).toEqual(noTraces)
  expect(await firewallsOf(controller.home)).toEqual([])
})
