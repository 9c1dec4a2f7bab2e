import { createHash } from 'node:crypto'
import { mkdir, rm, statfs, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, acquireLock, newId, Scope, systemErrorCode } from '@anteroom/base'
import { agentPort, claimPort, rfbPort, type SnapshotManifest } from '@anteroom/contract'
import type { Picture } from '@anteroom/rfb'
import { end, readVmmIdentity, saveVmm, startVmm, tailOf, type VmmSpec, vmmFiles } from '@anteroom/vmm'
import { Guest, MachineUseless } from './guest.ts'
import { type MachineShape, snapshotIdOf, snapshotKeyOf } from './key.ts'
import { buildDirectory, describeFile, leftovers, type PublishedSnapshot, publish, readSnapshot } from './publish.ts'

/** What is booted: the files of an image, wherever they are, and the id under which it is or will be published. */
export interface SnapshotImage {
  readonly id: string
  readonly kernel: string
  readonly initrd: string
  readonly rootfs: string
  /** Kernel command line, without the console. */
  readonly commandLine: string
}

export interface BuildOptions {
  readonly image: SnapshotImage
  readonly shape: MachineShape
  /** Where snapshots are; made when it is missing. */
  readonly snapshots: string
  /** Build even where the key's snapshot is there: it was found damaged. */
  readonly force?: boolean
  /** What went wrong in detail: consoles and messages of the machines. */
  readonly onTrouble: (text: string) => Promise<void>
}

/** Emulated on a busy host a machine took 60 s to its start page; one that hangs never comes. */
const buildMs = 300_000
/** Nobody: the monitor needs nothing of the host once it has its files. */
const unprivilegedUid = 65534
/** A blinking caret or a shifted pixel is none of anybody's business; a missing window is. */
const mostDifferentShare = 0.005

/**
 * Boots a machine of the image to its painted and idle start page, saves it, restores it once, claims the copy, compares the
 * pictures and publishes the snapshot under its key. Gives the one that is there where somebody else has built it meanwhile.
 * @throws AppError snapshot_build_failed saying what did not come, vmm_missing, disk_full
 */
export async function buildSnapshot(options: BuildOptions, scope: Scope): Promise<PublishedSnapshot> {
  const { image, shape, snapshots } = options
  const key = await snapshotKeyOf(image.id, shape, scope)
  return await scope.run({ name: 'snapshot build', deadlineMs: buildMs }, async (scope) => {
    await mkdir(snapshots, { recursive: true, mode: 0o700 })
    const lock = await scope.until(() => {
      const tried = acquireLock(join(snapshots, '.lock'))
      return 'release' in tried ? tried : undefined
    }, 250)
    scope.defer(() => lock.release())
    for (const path of await leftovers(snapshots)) await removeBuild(path)
    const earlier = options.force ? undefined : await readSnapshot(snapshots, snapshotIdOf(key)).catch(() => undefined)
    if (earlier) return earlier
    await requireSpace(snapshots, shape.memoryMiB)
    const work = buildDirectory(snapshots)
    await mkdir(work, { mode: 0o711 })
    scope.defer(() => removeBuild(work))
    try {
      const { boot, picture } = await saveTemplate(options, work, scope)
      const restore_test = await testRestore(options, work, picture, scope)
      const result = join(work, resultName)
      const manifest: SnapshotManifest = {
        ...{ format: 1, id: snapshotIdOf(key), key, boot, restore_test },
        memory: await describeFile(join(result, 'memory')),
        state: await describeFile(join(result, 'state')),
        built_at: new Date(scope.clock.now()).toISOString(),
      }
      scope.throwIfOver()
      return await publish(snapshots, result, manifest)
    } catch (error) {
      if (systemErrorCode(error) === 'ENOSPC') throw new AppError('disk_full', { detail: snapshots, cause: error })
      throw AppError.from(error, 'snapshot_build_failed')
    }
  })
}

const resultName = 'snapshot'
const [templateName, copyName] = ['template', 'copy']

/** Also the machines that a killed build was running: they would go on. */
async function removeBuild(path: string): Promise<void> {
  for (const name of [templateName, copyName]) {
    const machine = await readVmmIdentity(join(path, name))
    if (machine) await end(machine, Scope.root('end of an abandoned snapshot build'))
  }
  await rm(path, { recursive: true, force: true })
}

/** The file is sparse, but nobody knows before how much of it will stay so; and its pages are written while the machine boots. */
async function requireSpace(snapshots: string, memoryMiB: number): Promise<void> {
  const { bavail, bsize } = await statfs(snapshots)
  const freeMiB = Math.floor((bavail * bsize) / 1024 / 1024)
  if (freeMiB < memoryMiB)
    throw new AppError('disk_full', { detail: `${snapshots} has ${freeMiB} MiB free, a snapshot needs ${memoryMiB}` })
}

interface Saved {
  readonly boot: SnapshotManifest['boot']
  readonly picture: Picture
}

async function saveTemplate(options: BuildOptions, work: string, scope: Scope): Promise<Saved> {
  const { image, shape } = options
  const result = join(work, resultName)
  await mkdir(result, { mode: 0o700 })
  const memoryFile = join(result, 'memory')
  await writeFile(memoryFile, '', { mode: 0o600 })
  await truncate(memoryFile, shape.memoryMiB * 1024 * 1024)
  const { kernel, initrd, commandLine } = image
  const origin = { kind: 'boot', kernel, initrd, commandLine, memoryFile } as const
  const spec = await newMachine(options, join(work, templateName), origin)
  return await withMachine(options, spec, scope, async (guest, elapsedMs, scope) => {
    await guest.untilUp(scope)
    const hello_ms = elapsedMs()
    const password = await guest.settle(scope)
    const settled_ms = elapsedMs()
    const picture = await guest.untilPainted(password, scope)
    const painted_ms = elapsedMs()
    await saveVmm(spec, join(result, 'state'), scope)
    return { boot: { hello_ms, settled_ms, painted_ms }, picture }
  })
}

async function testRestore(
  options: BuildOptions,
  work: string,
  saved: Picture,
  scope: Scope,
): Promise<SnapshotManifest['restore_test']> {
  const result = join(work, resultName)
  const origin = { kind: 'snapshot', memoryFile: join(result, 'memory'), stateFile: join(result, 'state') } as const
  const spec = await newMachine(options, join(work, copyName), origin)
  return await withMachine(options, spec, scope, async (guest, elapsedMs, scope) => {
    const loaded_ms = elapsedMs()
    await guest.untilUp(scope)
    const password = await guest.claim(spec.id, scope)
    const now = await guest.untilPainted(password, scope)
    const painted_ms = elapsedMs()
    const pixels = now.width * now.height
    const different_pixels = differentPixels(saved, now)
    if (different_pixels > pixels * mostDifferentShare)
      throw new AppError('snapshot_build_failed', {
        detail: `the restored machine shows another picture: ${different_pixels} of ${pixels} pixels differ`,
      })
    return { loaded_ms, painted_ms, different_pixels, pixels }
  })
}

type BuildMachine = VmmSpec & { readonly ip: string }

async function newMachine(
  { image, shape }: BuildOptions,
  directory: string,
  origin: VmmSpec['origin'],
): Promise<BuildMachine> {
  await mkdir(directory, { mode: 0o711 })
  const ip = loopbackAddress(directory)
  return {
    ...{ ...shape, id: newId('machine'), instance: 'snpbld', directory, origin, ip, rootfs: image.rootfs },
    wanted: 'running',
    runAs: process.getuid?.() === 0 ? unprivilegedUid : null,
    network: { kind: 'user', ip, ports: [agentPort, claimPort, rfbPort] },
  }
}

/** 127.192.0.0/11 without its edges: another address for each machine that may be running at the same time. */
function loopbackAddress(directory: string): string {
  const digest = createHash('sha256').update(`${process.pid} ${directory}`).digest()
  return `127.${192 + (digest.readUInt8(0) & 15)}.${digest.readUInt8(1)}.${1 + (digest.readUInt8(2) % 254)}`
}

/** Runs a machine for as long as `work` takes; when that fails, says how far it came, and keeps what it printed. */
async function withMachine<T>(
  { onTrouble }: BuildOptions,
  spec: BuildMachine,
  scope: Scope,
  work: (guest: Guest, elapsedMs: () => number, scope: Scope) => Promise<T>,
): Promise<T> {
  return await scope.run({ name: 'machine of a snapshot build' }, async (scope) => {
    const startedAt = scope.clock.monotonic()
    const vmm = await startVmm(spec, scope)
    // In a scope of its own: by then this one is over.
    scope.defer(() => end(vmm.identity, Scope.root('end of a snapshot build', scope.log, scope.clock)))
    const guest = new Guest(vmm, spec.ip)
    try {
      return await work(guest, () => Math.round(scope.clock.monotonic() - startedAt), scope)
    } catch (error) {
      const files = vmmFiles(spec.directory)
      await onTrouble(`${error}\nconsole:\n${await tailOf(files.console, 65_536)}`)
      await onTrouble(`monitor:\n${await tailOf(files.log, 4096)}`)
      if (error instanceof AppError && error.code !== 'deadline_exceeded') throw error
      const detail = error instanceof MachineUseless ? error.message : guest.missing
      throw new AppError('snapshot_build_failed', { detail, cause: error })
    }
  })
}

function differentPixels(one: Picture, other: Picture): number {
  if (one.pixels.length !== other.pixels.length) return Math.max(one.pixels.length, other.pixels.length) / 4
  let different = 0
  for (let offset = 0; offset < one.pixels.length; offset += 4)
    if (((one.pixels.readUInt32LE(offset) ^ other.pixels.readUInt32LE(offset)) & 0xffffff) !== 0) different++
  return different
}
