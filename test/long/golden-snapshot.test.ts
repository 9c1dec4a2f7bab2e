import { Scope } from '@anteroom/base'
import type { Machine } from '@anteroom/contract'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { type ControllerConfig, type ControllerProcess, startControllerProcess } from '../harness/controller-process.ts'
import { GoldenCopy } from '../harness/golden-copy.ts'
import { instanceOf, tracesOf } from '../harness/traces.ts'

const scope = Scope.root('e2e')
let golden: GoldenCopy
let controller: ControllerProcess
beforeEach(async () => {
  golden = await GoldenCopy.make()
  onTestFinished(() => golden.remove())
})

async function start(name: string, config: ControllerConfig): Promise<void> {
  controller = await startControllerProcess(name, config, { images: golden.images })
  onTestFinished(() => controller.remove())
}

async function liveSession(subject: string) {
  const { id } = await controller.api.createSession('demo-site', subject)
  return await controller.api.until(id, 'live', ({ status }) => status === 'ready')
}

/** The first machine of the pool that is ready and as wanted. */
async function waiting(isWanted: (machine: Machine) => boolean): Promise<Machine> {
  return await scope.run({ name: 'a machine waits', deadlineMs: 300_000 }, (inner) =>
    inner.until(async () => {
      const machines = await controller.api.machines()
      return machines.find((one) => one.session_id === null && one.ready_at !== null && isWanted(one))
    }, 100),
  )
}

async function processesOf({ id, vm_ip: ip }: Machine): Promise<readonly number[]> {
  return (await tracesOf({ id, ip, home: controller.home, instance: await instanceOf(id) })).processes
}

test('a damaged snapshot is not loaded: the session boots its machine, and the pool says what is wrong', async () => {
  await golden.damageMemory(scope)
  await scope.run({ name: 'a session beside a damaged snapshot' }, async (inner) => {
    // The machine of a build would only slow this one down.
    golden.holdBuilds(inner)
    await start('damaged-snapshot', { pool: { size: 1 } })
    const session = await liveSession('ada')
    expect(session).toMatchObject({ machine_origin: 'booted', failure: null })
    const corrupt = { code: 'snapshot_corrupt', detail: expect.stringContaining('does not match its checksum') }
    expect(await controller.api.pool()).toMatchObject({
      ready: 0,
      wanted: 1,
      reason: corrupt,
      snapshot: { status: 'building', code: 'snapshot_corrupt', why: expect.stringContaining('memory') },
    })
    await controller.stop()
  })
})

test('an image that is published while the pool is full drains it and fills it anew, and a session keeps its machine', async () => {
  await start('another-image', { pool: { size: 1 } })
  await waiting(() => true)
  const session = await liveSession('ada')
  const old = await waiting(() => true)
  const running = (await controller.api.machines()).find(({ session_id }) => session_id === session.id)
  if (!running) throw new Error('the session has no machine')
  const processes = await processesOf(running)

  const another = await golden.publishAnother()
  const fresh = await waiting(({ image_id }) => image_id === another)
  expect(fresh.snapshot_id).not.toBe(old.snapshot_id)
  expect((await controller.api.machines()).map(({ id }) => id).sort()).toEqual([running.id, fresh.id].sort())
  expect((await tracesOf({ id: old.id, ip: old.vm_ip, home: controller.home, instance: 'none' })).processes).toEqual([])

  expect(await controller.api.session(session.id)).toMatchObject({ status: 'ready', image_id: running.image_id })
  expect(await processesOf(running)).toEqual(processes)
  expect(await liveSession('grace')).toMatchObject({
    machine_origin: 'warm',
    browser_vm_id: fresh.id,
    image_id: another,
  })
})
