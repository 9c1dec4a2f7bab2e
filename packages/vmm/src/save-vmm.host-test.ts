import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Scope } from '@anteroom/base'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findVmms } from './find-vmms.ts'
import { end } from './process-identity.ts'
import { openQmp } from './qmp-client.ts'
import { saveVmm } from './save-vmm.ts'
import type { VmmSpec } from './spec.ts'
import { startVmm, vmmFiles } from './start-vmm.ts'
import { makeTinyGuest } from './tiny-guest.ts'

const scope = Scope.root('test')
const instance = process.pid.toString(36).padStart(6, '0').slice(-6)
const runAs = 58_901
const memoryMiB = 256
let work: string
let memoryFile: string
let stateFile: string
let machines = 0

/** A directory and an address of its own for each machine. */
async function newSpec(origin: VmmSpec['origin'], wanted: VmmSpec['wanted']): Promise<VmmSpec & { ip: string }> {
  const number = ++machines
  const directory = join(work, `machine-${number}`)
  await mkdir(directory, { mode: 0o711 })
  const ip = `127.220.${process.pid & 255}.${number}`
  return {
    ...{ id: `vm_${String.fromCharCode(96 + number).repeat(24)}`, instance, binary: 'qemu-system-x86_64' },
    ...{ accelerator: 'tcg', origin, wanted, rootfs: null, memoryMiB, vcpus: 1, runAs, directory, ip },
    network: { kind: 'user', ip, ports: [7000] },
  }
}

const restore = (wanted: VmmSpec['wanted'], files: { memoryFile: string; stateFile: string }) =>
  newSpec({ kind: 'snapshot', ...files }, wanted)

const ask = async (ip: string, path: string): Promise<string> =>
  await (await fetch(`http://${ip}:7000${path}`, { signal: AbortSignal.timeout(30_000) })).text()

const untilAnswers = (ip: string) =>
  scope.run({ name: 'guest answers', deadlineMs: 90_000 }, (inner) =>
    inner.until(() => ask(ip, '/name').catch(() => undefined), 100),
  )

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'save-'))
  await chmod(work, 0o755)
  await mkdir(join(work, 'guest'))
  const guest = await makeTinyGuest(join(work, 'guest'), scope)
  memoryFile = join(work, 'memory')
  stateFile = join(work, 'state')
  await writeFile(memoryFile, '')
  await truncate(memoryFile, memoryMiB * 1024 * 1024)
  const origin = { kind: 'boot', ...guest, commandLine: 'quiet guest.name=saved', memoryFile } as const
  const template = await newSpec(origin, 'running')
  const { identity } = await startVmm(template, scope)
  await untilAnswers(template.ip)
  await saveVmm(template, stateFile, scope)
  await end(identity, scope)
})
afterAll(async () => {
  for (const { identity } of await findVmms(instance)) await end(identity, scope)
  await rm(work, { recursive: true })
})

const digestOf = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex')

test('what was saved runs again, twice at once, each at its own address, and the saved memory stays as it is', async () => {
  const before = await digestOf(memoryFile)
  const clones = [
    await restore('running', { memoryFile, stateFile }),
    await restore('running', { memoryFile, stateFile }),
  ]
  for (const clone of clones) await startVmm(clone, scope)
  for (const [number, { ip }] of clones.entries()) {
    expect(await untilAnswers(ip)).toBe('saved\n')
    await ask(ip, `/cgi-bin/sh?${encodeURIComponent(`hostname clone-${number}`)}`)
  }
  for (const [number, { ip }] of clones.entries())
    expect(await ask(ip, '/cgi-bin/sh?hostname')).toContain(`clone-${number}\n`)
  expect(await findVmms(instance)).toMatchObject(clones.map(({ id }) => ({ id, origin: 'restored' })))
  for (const { identity } of await findVmms(instance)) await end(identity, scope)
  expect(await digestOf(memoryFile)).toBe(before)
})

test('a paused one has run nothing and keeps almost no memory of its own, until it is told to go on', async () => {
  const clone = await restore('paused', { memoryFile, stateFile })
  const { identity } = await startVmm(clone, scope)
  const rollup = await readFile(`/proc/${identity.pid}/smaps_rollup`, 'utf8')
  expect(Number(/^Private_Dirty:\s+(\d+) kB$/m.exec(rollup)?.[1])).toBeLessThan(45 * 1024)
  const socket = createConnection({ host: clone.ip, port: 7000 })
  await once(socket, 'connect')
  socket.write('GET /name HTTP/1.0\r\n\r\n')
  let heard = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    heard += text
  })
  const monitor = await openQmp(vmmFiles(clone.directory).qmp, scope)
  expect(await monitor.execute('query-status')).toMatchObject({ status: 'paused', running: false })
  expect(heard).toBe('')
  await monitor.execute('cont')
  monitor.close()
  await once(socket, 'close')
  expect(heard).toContain('saved')
  await end(identity, scope)
})

test.each([
  ['cut in half', async (path: string) => truncate(path, 100_000)],
  [
    'changed in its first section',
    async (path: string) => {
      await using file = await open(path, 'r+')
      await file.write(Buffer.alloc(64, 0xff), 0, 64, 8)
    },
  ],
  ['empty', async (path: string) => truncate(path, 0)],
])('a state that is %s is snapshot_corrupt, and leaves no process', async (_, damage) => {
  const damaged = join(work, 'damaged')
  await writeFile(damaged, await readFile(stateFile))
  await damage(damaged)
  const clone = await restore('running', { memoryFile, stateFile: damaged })
  await expect(startVmm(clone, scope)).rejects.toMatchObject({ code: 'snapshot_corrupt' })
  expect(await findVmms(instance)).toEqual([])
})

test('another memory size is not loaded', async () => {
  const larger = join(work, 'larger')
  await writeFile(larger, '')
  await truncate(larger, 2 * memoryMiB * 1024 * 1024)
  const clone = { ...(await restore('running', { memoryFile: larger, stateFile })), memoryMiB: 2 * memoryMiB }
  await expect(startVmm(clone, scope)).rejects.toMatchObject({ code: 'snapshot_corrupt' })
})
