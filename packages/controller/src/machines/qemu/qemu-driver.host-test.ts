import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { type AddressInfo, createConnection, createServer } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { newId, runCommand, Scope } from '@anteroom/base'
import { end, findVmms, openQmp, saveVmm, startVmm, type VmmSpec, vmmFiles } from '@anteroom/vmm'
import { makeTinyGuest, type TinyGuest } from '@anteroom/vmm/tiny-guest'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { configSchema } from '../../config.ts'
import { instanceTag, openSlots, type Slot, type Slots, slotPorts, tapNames } from '../../host/host.ts'
import type { ImageFiles } from '../../images/images.ts'
import type { SnapshotFiles } from '../../snapshots/snapshots.ts'
import { describeMachineDriver } from '../driver.contract.ts'
import type { MachineSpec } from '../driver.ts'
import { QemuDriver } from './qemu-driver.ts'

const scope = Scope.root('test')
let work: string
let guest: TinyGuest
let snapshot: SnapshotFiles

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'driver-'))
  await mkdir(join(work, 'guest'))
  guest = await makeTinyGuest(join(work, 'guest'), scope)
  await writeFile(join(work, 'rootfs'), Buffer.alloc(1024 * 1024))
  snapshot = await save()
})
afterAll(() => rm(work, { recursive: true }))

const machine = { memoryMiB: 256, vcpus: 1 }

/** A machine of the tiny guest, saved while it serves; on a network of its own, as a build does it. */
async function save(): Promise<SnapshotFiles> {
  const directory = join(work, 'snapshot')
  const template = join(work, 'template')
  await mkdir(directory)
  await mkdir(template, { mode: 0o711 })
  const memoryFile = join(directory, 'memory')
  await writeFile(memoryFile, '')
  await truncate(memoryFile, machine.memoryMiB * 1024 * 1024)
  const ip = `127.219.${process.pid & 255}.100`
  const spec: VmmSpec = {
    ...{ id: newId('machine'), instance: 'drvtpl', binary: 'qemu-system-x86_64', accelerator: 'tcg', ...machine },
    ...{ rootfs: join(work, 'rootfs'), runAs: null, directory: template, wanted: 'running' },
    origin: { kind: 'boot', ...guest, commandLine: 'guest.name=saved', memoryFile },
    network: { kind: 'user', ip, ports: slotPorts },
  }
  const { identity } = await startVmm(spec, scope)
  await scope.run({ name: 'boot of the template', deadlineMs: 90_000 }, (inner) =>
    inner.until(() => ask({ ip }, 7000, '/name', inner).catch(() => undefined), 100),
  )
  await saveVmm(spec, join(directory, 'state'), scope)
  await end(identity, scope)
  const manifest = { memory: { name: 'memory' }, state: { name: 'state' } } as SnapshotFiles['manifest']
  return { id: 'snp_000000000000000000000000', directory, manifest }
}

/** An image as the driver sees it, of the tiny guest; the manifest's other fields are not its business. */
const image = (name: string): ImageFiles => {
  const file = (path: string) => ({ name: path.slice(work.length + 1), bytes: 1, sha256: '0'.repeat(64) })
  const manifest = {
    ...{ kernel: file(guest.kernel), initrd: file(guest.initrd), rootfs: file(join(work, 'rootfs')) },
    command_line: `guest.name=${name}`,
  }
  return { id: 'img_000000000000000000000000', directory: work, manifest: manifest as ImageFiles['manifest'] }
}

describe.each(['tap', 'user'] as const)('%s slots', (kind) => {
  let home: string
  let slots: Slots
  let used: Slot[] = []
  const config = () => ({
    ...configSchema.parse({
      network: { kind, pool: `198.19.${process.pid & 255}.0/26`, user_pool: `127.219.${process.pid & 255}.0/28` },
      vmm: { accelerator: 'tcg' },
    }),
    home,
  })
  const newDriver = () => new QemuDriver({ config: config(), images: undefined, vmmUid: null })
  const found = async (id: string) => {
    const vmm = (await findVmms(instanceTag(home))).find((other) => other.id === id)
    if (!vmm) throw new Error(`${id} has no process`)
    return vmm
  }

  async function newSpec(id: string, name = id): Promise<MachineSpec> {
    const slot = slots.at(used.length)
    used.push(slot)
    await slots.prepare(slot, scope)
    return { id, image: image(name), snapshot: null, wanted: 'running', slot, ...machine }
  }

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'home-'))
    slots = await openSlots(config(), scope)
    return () => rm(home, { recursive: true })
  })

  afterEach(async () => {
    // What a failed test left; a passed one has destroyed its machines.
    for (const id of await newDriver().list()) await newDriver().destroy(id, scope)
    for (const slot of used) await slots.remove(slot, scope)
    used = []
  })

  describeMachineDriver(`qemu on ${kind} slots`, () => ({
    newDriver,
    newSpec,
    kill: async (id) => {
      const { identity } = await found(id)
      process.kill(identity.pid, 'SIGKILL')
      await end(identity, scope)
    },
    pause: async (id) => {
      const qmp = await openQmp(vmmFiles(join(home, 'machines', id)).qmp, scope)
      await qmp.execute('stop')
      qmp.close()
    },
    snapshot: () => snapshot,
  }))

  /** Starts a machine and waits until its guest serves. */
  async function boot(name: string): Promise<MachineSpec> {
    const spec = await newSpec(newId('machine'), name)
    await newDriver().create(spec, scope)
    await scope.run({ name: `boot of ${name}`, deadlineMs: 90_000 }, (inner) =>
      inner.until(() => ask(spec.slot, 7000, '/name', inner).catch(() => undefined), 100),
    )
    return spec
  }

  test('machines at the same time reach nothing and nobody but are reached, each at its own address', async () => {
    const [one, two] = [await boot('one'), await boot('two')]
    const listener = await listen()
    try {
      for (const [spec, name] of [
        [one, 'one'],
        [two, 'two'],
      ] as const)
        for (const port of slotPorts) expect(await ask(spec.slot, port, '/name', scope)).toBe(`${name}\n`)
      expect(await knock(one.slot.ip, 8080)).toBe(false)

      const run = (command: string) => ask(one.slot, 7000, `/cgi-bin/sh?${encodeURIComponent(command)}`, scope)
      const connect = (ip: string, port: number) => run(`timeout 5 nc -w 2 ${ip} ${port}`)
      const ping = (ip: string) => run(`ping -c 1 -W 1 ${ip}`)
      const lookUp = (server: string) => run(`nslookup -timeout=1 -retry=1 localhost ${server}`)
      // The means work: they reach the guest itself, and the listener is reached from the host.
      expect(await connect('127.0.0.1', 8080)).toContain('status 0')
      expect(await ping('127.0.0.1')).toContain('status 0')
      await knock('127.0.0.1', listener.port)
      expect(listener.reached()).toBe(1)

      // In a guest, 127.x is the guest.
      const others = [...hostAddresses(one.slot), two.slot.ip, '198.51.100.1'].filter((ip) => !ip.startsWith('127.'))
      const tried = [...others, '172.16.0.1'].flatMap((ip) =>
        [listener.port, ...slotPorts].map((port) => () => connect(ip, port)),
      )
      const pinged = others.map((ip) => () => ping(ip))
      for (const answer of await fewAtATime([...tried, ...pinged])) expect(answer).toMatch(/status [1-9]/)
      const lookedUp = ['172.16.0.1', ...others].map((ip) => () => lookUp(ip))
      for (const answer of await fewAtATime(lookedUp)) expect(answer).toContain('no servers could be reached')
      expect(listener.reached()).toBe(1)
      if (kind === 'tap') expect(await refused(one.slot)).toBeGreaterThan(tried.length)
    } finally {
      await listener.close()
      for (const { id } of [one, two]) await newDriver().destroy(id, scope)
    }
  })

  test('restored machines serve at once, each at its own address, whatever kind of slot the saved one had', async () => {
    const specs = [await newSpec(newId('machine')), await newSpec(newId('machine'))]
    for (const spec of specs) await newDriver().create({ ...spec, snapshot }, scope)
    for (const { slot } of specs) expect(await ask(slot, 7000, '/name', scope)).toBe('saved\n')
    const hostname = (words: string) => `/cgi-bin/sh?${encodeURIComponent(`hostname ${words}`)}`
    for (const [number, { slot }] of specs.entries()) await ask(slot, 7000, hostname(`clone-${number}`), scope)
    for (const [number, { slot }] of specs.entries())
      expect(await ask(slot, 7000, hostname(''), scope)).toContain(`clone-${number}\n`)
    for (const { id } of specs) await newDriver().destroy(id, scope)
  })

  test('a snapshot that cannot be loaded is snapshot_corrupt, and the machine boots without it', async () => {
    const spec = await newSpec(newId('machine'))
    const state = join(work, 'damaged')
    await writeFile(state, (await readFile(join(snapshot.directory, 'state'))).subarray(0, 100_000))
    const manifest = { ...snapshot.manifest, state: { ...snapshot.manifest.state, name: '../damaged' } }
    const damaged = { ...snapshot, manifest }
    await expect(newDriver().create({ ...spec, snapshot: damaged }, scope)).rejects.toMatchObject({
      code: 'snapshot_corrupt',
    })
    expect(await newDriver().inspect(spec.id, scope)).toBe('absent')
    expect(await newDriver().create(spec, scope)).toMatchObject({ origin: 'booted' })
    await newDriver().destroy(spec.id, scope)
  })

  test('a machine that cannot start is vmm_exited, with the reason', async () => {
    const spec = await newSpec(newId('machine'))
    const driver = newDriver()
    await expect(driver.create({ ...spec, memoryMiB: 1 }, scope)).rejects.toMatchObject({
      code: 'vmm_exited',
      detail: expect.stringMatching(/status \d: .+/s),
    })
    expect((await driver.evidence(spec.id)).vmm).not.toBe('')
    expect(await driver.inspect(spec.id, scope)).toBe('absent')
    await driver.destroy(spec.id, scope)
  })

  test('an image without its files is image_missing, and nothing is made', async () => {
    const spec = await newSpec(newId('machine'))
    const gone = { ...spec.image, directory: join(work, 'absent') }
    await expect(newDriver().create({ ...spec, image: gone }, scope)).rejects.toMatchObject({ code: 'image_missing' })
    expect(await newDriver().list()).toEqual([])
  })

  test('processes without a directory and directories without a process are found and destroyed', async () => {
    const driver = newDriver()
    const [orphan, remains] = [await newSpec(newId('machine')), newId('machine')]
    await driver.create(orphan, scope)
    await rm(join(home, 'machines', orphan.id), { recursive: true })
    await mkdir(join(home, 'machines', remains))
    expect((await driver.list()).sort()).toEqual([orphan.id, remains].sort())
    for (const id of await driver.list()) await driver.destroy(id, scope)
    expect(await driver.list()).toEqual([])
  })

  test('nothing is left of machines and slots: no process, namespace, link or file', async () => {
    const spec = await newSpec(newId('machine'))
    await newDriver().create(spec, scope)
    await newDriver().destroy(spec.id, scope)
    await slots.remove(spec.slot, scope)
    const tag = instanceTag(home)
    expect(await findVmms(tag)).toEqual([])
    for (const what of [['netns', 'list'], ['link'], ['addr'], ['route', 'show', 'table', 'all']]) {
      const { stdout } = await runCommand(scope, 'ip', what)
      expect(stdout).not.toContain(tag)
      expect(stdout).not.toContain(spec.slot.ip)
    }
    expect((await runCommand(scope, 'nft', ['list', 'ruleset'])).stdout).not.toContain('anteroom')
    expect(await readdir(join(home, 'machines'))).toEqual([])
  })

  async function refused(slot: Slot): Promise<number> {
    const { namespace } = tapNames(instanceTag(home), slot.index)
    const counter = ['nft', 'list', 'counter', 'inet', 'anteroom', 'refused_to_guest']
    const { stdout } = await runCommand(scope, 'ip', ['netns', 'exec', namespace, ...counter])
    return Number(/packets (\d+)/.exec(stdout)?.[1])
  }
})

const ask = async (slot: Pick<Slot, 'ip'>, port: number, path: string, scope: Scope): Promise<string> => {
  const response = await fetch(`http://${slot.ip}:${port}${path}`, {
    signal: AbortSignal.any([scope.signal, AbortSignal.timeout(30_000)]),
  })
  if (!response.ok) throw new Error(`status ${response.status}`)
  return await response.text()
}

/** A guest of one emulated processor that is asked everything at once answers nothing within the time that it has. */
async function fewAtATime(asking: readonly (() => Promise<string>)[]): Promise<string[]> {
  const answers: string[] = []
  for (let next = 0; next < asking.length; next += 4)
    answers.push(...(await Promise.all(asking.slice(next, next + 4).map((askNext) => askNext()))))
  return answers
}

/** Every IPv4 address of this host that a guest could know; the host's end of its own slot first. */
const hostAddresses = (slot: Slot): string[] => [
  slot.ip.replace(/\d+$/, (last) => String(Number(last) - 1)),
  ...Object.values(networkInterfaces()).flatMap((links) =>
    (links ?? []).filter((address) => address.family === 'IPv4' && !address.internal).map(({ address }) => address),
  ),
]

async function listen() {
  let reached = 0
  const server = createServer((socket) => {
    reached++
    socket.on('error', () => {}).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    reached: () => reached,
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}

/** Does anything answer there within two seconds? Dropped packets give no answer. */
const knock = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: 2_000 })
    const finish = (open: boolean) => {
      socket.destroy()
      resolve(open)
    }
    socket.once('connect', () => finish(true))
    socket.once('timeout', () => finish(false))
    socket.once('error', () => finish(false))
  })
