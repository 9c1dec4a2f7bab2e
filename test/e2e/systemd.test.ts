import { readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ControllerProcess, startControllerProcess } from '../harness/controller-process.ts'
import { instanceOf, tracesOf } from '../harness/traces.ts'

const root = resolve(import.meta.dirname, '../..')
let controller: ControllerProcess
let settings: Map<string, string>
beforeAll(async () => {
  const unit = await readFile(join(root, 'deploy/anteroom.service'), 'utf8')
  settings = new Map([...unit.matchAll(/^(\w+)=(.*)$/gm)].map(([, key = '', value = '']) => [key, value]))
  controller = await startControllerProcess('systemd')
})
afterAll(() => controller?.remove())

test('the unit starts the program that is there, and signals nobody else', async () => {
  const directory = settings.get('WorkingDirectory') ?? ''
  const [node = '', entry = ''] = settings.get('ExecStart')?.split(' ') ?? []
  expect(await stat(node.replace(directory, root)).then((found) => found.isFile())).toBe(true)
  expect(await stat(join(root, entry)).then((found) => found.isFile())).toBe(true)
  expect(settings.get('KillMode')).toBe('process')
  expect(settings.get('KillSignal')).toBe('SIGTERM')
  expect(settings.get('Restart')).toBe('always')
})

// systemd does not run everywhere that tests do. What it does with this unit is to send its signal to the main process, to wait, and
// to start the same program again.
test('a restart by its signal keeps machine and session, and so does a kill', async () => {
  const { id } = await controller.api.createSession('demo-site', 'ada')
  const before = await controller.api.until(id, 'live', ({ status }) => status === 'ready')
  const machine = { id: before.browser_vm_id ?? '', ip: before.vm_ip ?? '', home: controller.home }
  const place = { ...machine, instance: await instanceOf(machine.id) }
  const { processes } = await tracesOf(place)
  expect(processes).toHaveLength(1)

  for (const again of [() => controller.restart(), () => controller.crash()]) {
    const stopped = controller.pid
    controller = await again()
    expect(controller.pid).not.toBe(stopped)
    const now = await controller.api.until(id, 'live', ({ status }) => status === 'ready')
    expect(now).toMatchObject({ browser_vm_id: machine.id, vm_ip: machine.ip, expires_at: before.expires_at })
    expect((await tracesOf(place)).processes).toEqual(processes)
  }
  await controller.api.call('POST', `/v1/sessions/${id}/cancel`, { body: {} })
  expect((await controller.api.ended(id)).outcome).toBe('cancelled')
  expect((await tracesOf(place)).processes).toEqual([])
})
