import { mkdtemp, open, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Scope, silentLog } from '@anteroom/base'
import { type MachineShape, snapshotIdOf, snapshotKeyOf } from '@anteroom/snapshot'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { publishSnapshot, writeMonitor } from '../../test/publish-snapshot.ts'
import { configSchema } from '../config.ts'
import type { ImageFiles } from '../images/images.ts'
import { openSnapshots } from './snapshots.ts'

const scope = Scope.root('test')
const manifest = {
  kernel: { name: 'kernel' },
  initrd: { name: 'initrd' },
  rootfs: { name: 'rootfs' },
  command_line: '',
}
const image = { id: 'img_000000000000000000000001', directory: '/absent', manifest } as ImageFiles
let home: string
let binary: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'anteroom-snapshots-'))
  binary = await writeMonitor(home)
})
afterEach(() => rm(home, { recursive: true }))

const shape = (): MachineShape => ({ binary, accelerator: 'tcg', memoryMiB: 1536, vcpus: 2 })

const publish = (overrides: Partial<MachineShape> = {}): Promise<string> =>
  publishSnapshot(home, image.id, { ...shape(), ...overrides }, scope)

const newSnapshots = (vmm: object = {}) =>
  openSnapshots({
    config: { home, vmm: configSchema.parse({ vmm: { binary, ...vmm } }).vmm },
    images: { current: async () => image },
    accelerator: async () => 'tcg',
    log: silentLog,
  })

const pathOf = (id: string, name: string) => join(home, 'snapshots', id, name)

test('the snapshot of exactly this image and shape is given', async () => {
  const id = await publish()
  expect(await newSnapshots().of(image, scope)).toMatchObject({ id, directory: join(home, 'snapshots', id) })
})

test('turned off there is none', async () => {
  await publish()
  const snapshots = newSnapshots({ snapshots: 'off' })
  expect(await snapshots.of(image, scope)).toBeUndefined()
  expect(snapshots.status()).toEqual({ status: 'off' })
})

describe('one of another key is not loaded:', () => {
  test.each([
    ['more memory', { memory_mib: 2048 }],
    ['another number of processors', { vcpus: 1 }],
  ])('%s', async (_, vmm) => {
    await publish()
    expect(await newSnapshots(vmm).of(image, scope)).toBeUndefined()
  })

  test('another image', async () => {
    await publish()
    const other = { ...image, id: 'img_000000000000000000000002' }
    expect(await newSnapshots().of(other, scope)).toBeUndefined()
  })

  test('another version of the monitor, changed under the running controller', async () => {
    const id = await publish()
    const snapshots = newSnapshots()
    expect(await snapshots.of(image, scope)).toMatchObject({ id })
    await writeFile(binary, '#!/bin/sh\necho QEMU emulator version 7.2.23\n')
    expect(await snapshots.of(image, scope)).toBeUndefined()
  })

  test('a manifest under a name that is not its own', async () => {
    const id = await publish({ vcpus: 1 })
    const wanted = snapshotIdOf(await snapshotKeyOf(image.id, shape(), scope))
    await rename(join(home, 'snapshots', id), join(home, 'snapshots', wanted))
    const snapshots = newSnapshots()
    expect(await snapshots.of(image, scope)).toBeUndefined()
    expect(snapshots.status()).toMatchObject({ status: 'building', why: expect.stringContaining('another snapshot') })
  })
})

describe('a damaged one is not loaded, and the status says why:', () => {
  test.each([
    ['memory is missing', 'does not exist', (id: string) => rm(pathOf(id, 'memory'))],
    ['memory is truncated', 'instead of 9000', (id: string) => truncate(pathOf(id, 'memory'), 4096)],
    ['state is missing', 'does not exist', (id: string) => rm(pathOf(id, 'state'))],
    [
      'one byte of the memory is flipped',
      'does not match its checksum',
      async (id: string) => {
        await using file = await open(pathOf(id, 'memory'), 'r+')
        await file.write(Buffer.of(0), 0, 1, 5000)
      },
    ],
    ['the manifest is no manifest', 'JSON', (id: string) => writeFile(pathOf(id, 'manifest.json'), '{')],
  ])('%s', async (_, why, damage) => {
    const id = await publish()
    const snapshots = newSnapshots()
    expect(await snapshots.of(image, scope)).toMatchObject({ id })
    let changes = 0
    snapshots.onChange(() => changes++)
    await damage(id)
    expect(await snapshots.of(image, scope)).toBeUndefined()
    const code = 'snapshot_corrupt'
    expect(snapshots.status()).toMatchObject({ status: 'building', code, why: expect.stringContaining(why) })
    expect(changes).toBe(1)
  })
})

test('what a restore could not load is not given again', async () => {
  const id = await publish()
  const snapshots = newSnapshots()
  snapshots.reject(id, new Error('Unknown savevm section'))
  expect(await snapshots.of(image, scope)).toBeUndefined()
  expect(snapshots.status()).toMatchObject({ why: expect.stringContaining('Unknown savevm section') })
})

test('a build that fails is told with its code and its log, and does not stop anything', async () => {
  const snapshots = newSnapshots()
  const running = Scope.root('run')
  const failed = new Promise<void>((resolve) =>
    snapshots.onChange(() => snapshots.status().status === 'failed' && resolve()),
  )
  const run = snapshots.run(running)
  await failed
  // The image has no files to boot, and the monitor is none.
  expect(snapshots.status()).toMatchObject({ status: 'failed', code: expect.stringMatching(/^(vmm_exited|snapshot_)/) })
  expect(await readFile(join(home, 'logs', 'snapshot-build.log'), 'utf8')).toBeDefined()
  running.cancel()
  await run
})

test('those that nobody uses are collected, once there is a current one', async () => {
  const [current, used, unused] = [await publish(), await publish({ vcpus: 1 }), await publish({ vcpus: 4 })]
  const snapshots = newSnapshots()
  expect(await snapshots.collect(new Set())).toEqual([])
  const running = Scope.root('run')
  const ready = new Promise<void>((resolve) =>
    snapshots.onChange(() => snapshots.status().status === 'ready' && resolve()),
  )
  const run = snapshots.run(running)
  await ready
  expect(await snapshots.collect(new Set([used]))).toEqual([unused])
  expect(await snapshots.of(image, scope)).toMatchObject({ id: current })
  running.cancel()
  await run
})
