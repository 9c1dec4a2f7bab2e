import { mkdtemp, readdir, readFile, readlink, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand, Scope } from '@anteroom/base'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { measureAccelerator } from './accelerator.ts'
import { confinedMachines, release } from './cgroup.ts'
import { type CgroupController, findCgroupMounts } from './cgroup-mounts.ts'
import { findVmms } from './find-vmms.ts'
import { end, isAlive } from './process-identity.ts'
import { openQmp } from './qmp-client.ts'
import type { VmmSpec } from './spec.ts'
import { readVmmIdentity, startVmm, vmmFiles } from './start-vmm.ts'
import { tailOf } from './tail.ts'
import { makeTinyGuest, type TinyGuest } from './tiny-guest.ts'
import { limitsOf, measureWalls } from './vmm-walls.ts'
import { niceness, oomScore } from './yield-to-others.ts'

const scope = Scope.root('test')
const instance = process.pid.toString(36).padStart(6, '0').slice(-6)
const id = 'vm_aaaaaaaaaaaaaaaaaaaaaaaa'
let guestDirectory: string
let guest: TinyGuest
let directory: string

beforeAll(async () => {
  guestDirectory = await mkdtemp(join(tmpdir(), 'guest-'))
  guest = await makeTinyGuest(guestDirectory, scope)
})
afterAll(() => rm(guestDirectory, { recursive: true }))
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'machine-'))
})
afterEach(async () => {
  for (const vmm of await findVmms(instance)) await end(vmm.identity, scope)
  await rm(directory, { recursive: true })
})

const boot = (commandLine = 'quiet') => ({ kind: 'boot', ...guest, commandLine, memoryFile: null }) as const
const spec = (overrides: Partial<VmmSpec> = {}): VmmSpec => ({
  ...{
    id,
    instance,
    binary: 'qemu-system-x86_64',
    accelerator: 'tcg',
    rootfs: null,
    origin: boot(),
    wanted: 'running',
  },
  ...{ memoryMiB: 256, vcpus: 1, network: null, runAs: 58_900, directory },
  ...overrides,
})

const consoleSays = (words: string) =>
  scope.run({ name: words, deadlineMs: 60_000 }, (inner) =>
    inner.until(async () => (await readFile(vmmFiles(directory).console, 'latin1')).includes(words) || undefined, 50),
  )

describe('startVmm', () => {
  test('runs QEMU without privileges, in its sandbox, in a session of its own, with private files', async () => {
    const { identity } = await startVmm(spec(), scope)
    const status = await readFile(`/proc/${identity.pid}/status`, 'utf8')
    expect(status).toMatch(/^Uid:\t58900\t58900\t58900\t58900$/m)
    expect(status).toMatch(/^Gid:\t58900\t58900\t58900\t58900$/m)
    for (const set of ['CapPrm', 'CapEff', 'CapInh', 'CapAmb'])
      expect(status).toMatch(new RegExp(`^${set}:\\t0{16}$`, 'm'))
    expect(status).toMatch(/^NoNewPrivs:\t1$/m)
    expect(status).toMatch(/^Seccomp:\t2$/m)
    const { stdout } = await runCommand(scope, 'ps', ['-o', 'sid=,args=', '-p', String(identity.pid)])
    expect(stdout.trim()).toMatch(new RegExp(`^${identity.pid} .*anteroom-${id},`))
    expect((await stat(vmmFiles(directory).qmp)).mode & 0o777).toBe(0o600)
  })

  test('sees of the host’s files its machine’s directory alone, and may write nothing there', async () => {
    const { identity } = await startVmm(spec(), scope)
    const proc = `/proc/${identity.pid}`
    expect(await readlink(`${proc}/root`)).toBe(directory)
    expect(await readlink(`${proc}/cwd`)).toBe(directory)
    expect((await readdir(`${proc}/root/`)).sort()).toEqual(['console.log', 'qmp.sock', 'vmm.json', 'vmm.log'])
    // All of it belongs to whoever started it, and is for nobody else.
    for (const path of ['', ...(await readdir(directory))]) {
      const { uid, mode } = await stat(join(directory, path))
      expect([path, uid, mode & 0o077]).toEqual([path, process.getuid?.(), path === 'console.log' ? mode & 0o044 : 0])
    }
  })

  test('has limits of its user: threads, open files, sizes of files, no core', async () => {
    const { identity } = await startVmm(spec(), scope)
    const limits = await readFile(`/proc/${identity.pid}/limits`, 'utf8')
    const hard = (name: string) => new RegExp(`^${name} +\\S+ +(\\S+)`, 'm').exec(limits)?.[1]
    expect(['Max processes', 'Max open files', 'Max file size', 'Max core file size'].map(hard)).toEqual([
      ...['256', '1024', String(16 * 1024 * 1024), '0'],
    ])
  })

  test('is limited by a group of its own, as far as the host has any, which goes with the machine', async () => {
    const limits = limitsOf({ memoryMiB: 256, vcpus: 1, accelerator: 'tcg' })
    const walls = await measureWalls(instance, limits, scope)
    const { identity } = await startVmm(spec({ limits }), scope)
    const groups = await readFile(`/proc/${identity.pid}/cgroup`, 'utf8')
    const mounts = await findCgroupMounts()
    const own = (controller: CgroupController) => join(mounts?.parents[controller] ?? '', `anteroom-${instance}-${id}`)
    for (const controller of walls.limited) {
      expect(groups).toMatch(new RegExp(`^\\d+:(.*\\b${controller}\\b.*)?:.*anteroom-${instance}-${id}$`, 'm'))
      expect(await readFile(join(own(controller), 'cgroup.procs'), 'utf8')).toBe(`${identity.pid}\n`)
    }
    const memory = { 1: 'memory.limit_in_bytes', 2: 'memory.max' } as const
    if (walls.cgroupVersion !== null && walls.limited.includes('memory'))
      expect(Number(await readFile(join(own('memory'), memory[walls.cgroupVersion]), 'utf8'))).toBe(1792 * 1024 * 1024)
    expect(await confinedMachines(instance)).toEqual(walls.limited.length > 0 ? [id] : [])
    await end(identity, scope)
    await release(instance, id, scope)
    expect(await confinedMachines(instance)).toEqual([])
  })

  test('yields to the controller, as a process and as a session', async () => {
    const { identity } = await startVmm(spec(), scope)
    const { stdout } = await runCommand(scope, 'ps', ['-o', 'ni=', '-p', String(identity.pid)])
    expect(Number(stdout)).toBe(niceness)
    expect(Number(await readFile(`/proc/${identity.pid}/oom_score_adj`, 'utf8'))).toBe(oomScore)
    // There is none where the kernel makes no groups of sessions.
    const group = await readFile(`/proc/${identity.pid}/autogroup`, 'utf8').catch(() => undefined)
    if (group !== undefined) expect(group).toContain(`nice ${niceness}\n`)
  })

  test('is found by its name, answers on QMP, and is gone after its end', async () => {
    const { identity } = await startVmm(spec(), scope)
    expect(await findVmms(instance)).toMatchObject([{ id, identity, accelerator: 'tcg' }])
    expect(await findVmms('othrct')).toEqual([])
    expect(await readVmmIdentity(directory)).toEqual(identity)
    const qmp = await openQmp(vmmFiles(directory).qmp, scope)
    await qmp.execute('stop')
    expect(await qmp.execute('query-status')).toMatchObject({ status: 'paused', running: false })
    qmp.close()
    await end(identity, scope)
    expect(await findVmms(instance)).toEqual([])
  })

  test('says why QEMU ended at once', async () => {
    await expect(startVmm(spec({ rootfs: join(directory, 'absent') }), scope)).rejects.toMatchObject({
      code: 'vmm_exited',
      detail: expect.stringContaining('No such file or directory'),
    })
    expect(await findVmms(instance)).toEqual([])
  })

  test('a missing or a wrong binary is vmm_missing', async () => {
    await expect(startVmm(spec({ binary: '/absent/qemu' }), scope)).rejects.toMatchObject({ code: 'vmm_missing' })
    await expect(startVmm(spec({ binary: 'true' }), scope)).rejects.toMatchObject({ code: 'vmm_missing' })
  })

  test('what starts after its caller gave up is ended', async () => {
    const starting = scope.run({ name: 'impatient', deadlineMs: 30 }, (inner) => startVmm(spec(), inner))
    await expect(starting).rejects.toMatchObject({ code: 'deadline_exceeded' })
    await scope.until(async () => ((await findVmms(instance)).length === 0 ? true : undefined), 20)
  })

  test('a console at its limit grows no further, and the guest goes on', async () => {
    const { console } = vmmFiles(directory)
    const limit = 16 * 1024 * 1024
    await writeFile(console, '')
    await truncate(console, limit - 3000)
    const { identity } = await startVmm(spec({ origin: boot('earlyprintk') }), scope)
    await scope.run({ name: 'full console', deadlineMs: 60_000 }, (inner) =>
      inner.until(async () => (await stat(console)).size === limit || undefined, 20),
    )
    const qmp = await openQmp(vmmFiles(directory).qmp, scope)
    expect(await qmp.execute('query-status')).toMatchObject({ running: true })
    qmp.close()
    expect(await isAlive(identity)).toBe(true)
    expect((await stat(console)).size).toBe(limit)
    expect(await tailOf(console, 3000)).toContain('Linux version')
  })

  test('a kernel panic ends the process, its last words stay', async () => {
    const { identity } = await startVmm(spec({ origin: boot('rdinit=/absent root=/dev/absent') }), scope)
    await consoleSays('Kernel panic')
    await scope.until(async () => ((await isAlive(identity)) ? undefined : true), 20)
  })
})

describe('measureAccelerator', () => {
  const options = () => ({
    ...{ binary: 'qemu-system-x86_64', cacheFile: join(directory, 'acceleration.json'), runAs: 58_900 },
    ...guest,
  })

  test('tells by a guest whether KVM works, remembers it, and leaves nothing', async () => {
    const measured = await measureAccelerator({ ...options(), want: 'auto' }, scope)
    expect(measured.accelerator === 'kvm').toBe(measured.note === null)
    expect(measured.version).toMatch(/^QEMU emulator version/)
    const again = scope.run({ name: 'remembered verdict', deadlineMs: 5_000 }, (inner) =>
      measureAccelerator({ ...options(), want: 'auto' }, inner),
    )
    expect(await again).toEqual(measured)
    if (measured.note !== null)
      await expect(measureAccelerator({ ...options(), want: 'kvm' }, scope)).rejects.toMatchObject({
        code: 'kvm_required',
        detail: measured.note,
      })
    const { stdout } = await runCommand(scope, 'ps', ['-eo', 'args='])
    expect(stdout).not.toContain('kvm_probe')
  })

  test('emulation on demand needs no measurement', async () => {
    expect(await measureAccelerator({ ...options(), want: 'tcg' }, scope)).toMatchObject({ accelerator: 'tcg' })
  })
})
