import { mkdir, readFile, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, acquireLock, type Scope, systemErrorCode } from '@anteroom/base'
import { agentProtocol, type ImageContent, type ImageManifest } from '@anteroom/contract'
import { buildSnapshot, type SnapshotImage, snapshotVerifier, vouchFor } from '@anteroom/snapshot'
import { measureAccelerator } from '@anteroom/vmm'
import { type BuildLog, imageBuildFailed, openBuildLog } from './build-log.ts'
import { type BuildProgress, type BuildStep, ProgressMeter } from './build-progress.ts'
import { composeSystem } from './compose-system.ts'
import { type ImageInputs, readInputs } from './inputs.ts'
import { makeBootFiles } from './make-boot-files.ts'
import {
  buildDirectory,
  describeFile,
  fileNames,
  imageIdOf,
  intactCurrent,
  leftovers,
  type PublishedImage,
  publish,
} from './publish.ts'
import { kernelCommandLine, suite } from './recipe.ts'
import { endToolsOf } from './run-tool.ts'
import { writeRootfs } from './write-rootfs.ts'

export interface BuildOptions {
  /** State directory; the image goes to `images/` in it. */
  readonly home: string
  /** About once a second, and at each new step. */
  readonly onProgress: (progress: BuildProgress) => void
  /** Mirror addresses or sources.list lines; none: Debian's own, with security updates. */
  readonly mirrors?: readonly string[]
  readonly vmmBinary?: string
  /** Build even if the current image has the same inputs. */
  readonly force?: boolean
}

/** As `vmm.memory_mib` and `vmm.vcpus` are without a configuration; with another one the controller makes its own snapshot. */
const usualShape = { memoryMiB: 1536, vcpus: 2 }
/** Nobody. */
const unprivilegedUid = 65534
const buildDeadlineMs = 45 * 60_000
/**
 * The unpacked system (0.85 GB), the image of it (0.85 GB), the packages while they are installed (0.25 GB) and the saved
 * machine's memory (1.6 GB at most).
 */
const neededBytes = 3.8e9

/**
 * Builds, boots and publishes the golden image, and gives it. Where the current image was made from the same inputs and is
 * intact, that is given instead.
 * @throws AppError image_build_failed, image_build_locked, disk_full, vmm_missing
 */
export async function buildImage(options: BuildOptions, scope: Scope): Promise<PublishedImage> {
  return await scope.run({ name: 'image build', deadlineMs: buildDeadlineMs }, async (scope) => {
    const images = join(options.home, 'images')
    await mkdir(images, { recursive: true })
    const lock = acquireLock(join(images, '.lock'))
    if (!('release' in lock)) {
      throw new AppError('image_build_locked', { detail: `pid ${lock.heldBy ?? 'unknown'} builds in ${images}` })
    }
    scope.defer(() => lock.release())
    for (const path of await leftovers(images)) await removeBuild(path, scope)
    const meter = new ProgressMeter(scope.clock, await stepsOfCurrent(images))
    const begin = (step: BuildStep): void => {
      meter.begin(step)
      options.onProgress(meter.now)
    }
    // Told only when it is known that there is something to build.
    meter.begin('Bundle the agent')
    const inputs = await readInputs()
    const current = options.force ? undefined : await intactCurrent(images)
    if (current?.manifest.inputs_sha256 === inputs.sha256) return current
    options.onProgress(meter.now)
    const ticking = tick(() => options.onProgress(meter.now), scope)
    try {
      return await build({ options, images, inputs, meter, begin }, scope)
    } catch (error) {
      if (systemErrorCode(error) === 'ENOSPC') throw new AppError('disk_full', { detail: images, cause: error })
      throw AppError.from(error, 'image_build_failed')
    } finally {
      ticking.abort()
    }
  })
}

interface Build {
  readonly options: BuildOptions
  readonly images: string
  readonly inputs: ImageInputs
  readonly meter: ProgressMeter
  readonly begin: (step: BuildStep) => void
}

async function build({ options, images, inputs, meter, begin }: Build, scope: Scope): Promise<PublishedImage> {
  const startedAt = scope.clock.monotonic()
  requireRoot()
  await requireSpace(images)
  const work = buildDirectory(images)
  await mkdir(work, { mode: 0o755 })
  // Runs after the programs that were started later have ended: cleanups go in reverse.
  scope.defer(() => removeBuild(work, scope))
  await using log = await openBuildLog(join(options.home, 'logs', 'image-build.log'))

  begin('Install Debian packages')
  const system = await composeSystem(
    { directory: work, agent: inputs.agent, mirrors: options.mirrors ?? [] },
    log,
    scope,
  )
  const packages = await readPackages(system.packagesFile)

  const result = join(work, 'image')
  await mkdir(result)
  begin('Make kernel and initial RAM disk')
  const kernel_version = await makeBootFiles(system, result, scope)
  begin('Write the root file system')
  await writeRootfs(system.root, result, log, scope)

  return await publishIfItWorks({ ...options, directory: result, begin, log }, scope, () => ({
    ...{ inputs_sha256: inputs.sha256, suite, architecture: 'x86_64', kernel_version, packages },
    built_at: new Date(scope.clock.now()).toISOString(),
    steps: meter.finish(),
    build_seconds: Math.round((scope.clock.monotonic() - startedAt) / 100) / 10,
  }))
}

interface Candidate extends Pick<BuildOptions, 'home' | 'vmmBinary'> {
  /** Holds kernel, initrd and rootfs; becomes the image. */
  readonly directory: string
  readonly begin: (step: BuildStep) => void
  readonly log: BuildLog
}

type Origin = Omit<ImageManifest, 'format' | 'id' | 'boot_test' | keyof ImageContent>

/**
 * Boots what was built, and makes it the current image when it works; else that is as before. `origin` is asked at the end.
 * @throws AppError image_build_failed saying what did not come up
 */
export async function publishIfItWorks(
  { directory, begin, log, ...options }: Candidate,
  scope: Scope,
  origin: () => Origin,
): Promise<PublishedImage> {
  const [kernel, initrd, rootfs] = fileNames.map((name) => join(directory, name)) as [string, string, string]
  begin('Compute checksums')
  const content: ImageContent = {
    agent_protocol: agentProtocol,
    command_line: kernelCommandLine,
    kernel: await describeFile(kernel),
    initrd: await describeFile(initrd),
    rootfs: await describeFile(rootfs),
  }
  begin('Boot the image and save the machine')
  const id = imageIdOf(content)
  const boot_test = await bootAndSave(
    { id, kernel, initrd, rootfs, commandLine: kernelCommandLine },
    options,
    log,
    scope,
  )
  begin('Publish')
  scope.throwIfOver()
  return await publish(join(options.home, 'images'), directory, { ...origin(), format: 1, id, ...content, boot_test })
}

/**
 * The test of the image and the making of its snapshot are one: a machine that is saved painted and idle, restored, claimed and
 * looked at again has shown that the image works.
 */
async function bootAndSave(
  image: SnapshotImage,
  { home, vmmBinary: binary = 'qemu-system-x86_64' }: Pick<BuildOptions, 'home' | 'vmmBinary'>,
  log: BuildLog,
  scope: Scope,
): Promise<ImageManifest['boot_test']> {
  const runAs = process.getuid?.() === 0 ? unprivilegedUid : null
  const cacheFile = join(home, 'cache', 'acceleration.json')
  const { accelerator } = await measureAccelerator({ binary, ...image, cacheFile, want: 'auto', runAs }, scope)
  const shape = { binary, accelerator, ...usualShape }
  try {
    const saved = await buildSnapshot(
      { image, shape, snapshots: join(home, 'snapshots'), force: true, onTrouble: (text) => log.line(text) },
      scope,
    )
    await vouchFor(saved, snapshotVerifier(home))
    const { hello_ms, painted_ms } = saved.manifest.boot
    return { accelerator, hello_ms, painted_ms }
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'snapshot_build_failed') throw error
    throw await imageBuildFailed(`the image does not work: ${error.detail}`, log)
  }
}

/** Also the programs that a killed build was running: they would go on. */
async function removeBuild(path: string, scope: Scope): Promise<void> {
  await endToolsOf(path, scope.clock)
  await rm(path, { recursive: true, force: true })
}

/** Files of several owners can only be made by root. */
function requireRoot(): void {
  if (process.getuid?.() !== 0) {
    throw new AppError('image_build_failed', { detail: 'building needs root; run the same command with sudo' })
  }
}

async function requireSpace(images: string): Promise<void> {
  const { bavail, bsize } = await statfs(images)
  const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`
  if (bavail * bsize < neededBytes) {
    const detail = `${images} has ${gigabytes(bavail * bsize)} free, a build needs ${gigabytes(neededBytes)}`
    throw new AppError('disk_full', { detail })
  }
}

async function readPackages(path: string): Promise<ImageManifest['packages']> {
  const lines = (await readFile(path, 'utf8')).trim().split('\n')
  return lines.map((line) => {
    const [name = '', version = ''] = line.split(' ')
    return { name, version }
  })
}

/** Times of the last build on this host; they need no image that is intact. */
async function stepsOfCurrent(images: string): Promise<ImageManifest['steps']> {
  return await readFile(join(images, 'current', 'manifest.json'), 'utf8').then(
    (text) => (JSON.parse(text) as ImageManifest).steps,
    () => [],
  )
}

/** Once a second until aborted or the scope is over. */
function tick(report: () => void, scope: Scope): AbortController {
  const stop = new AbortController()
  const signal = AbortSignal.any([stop.signal, scope.signal])
  const loop = async (): Promise<void> => {
    for (;;) {
      await scope.clock.delay(1000, signal)
      if (signal.aborted) return
      report()
    }
  }
  void loop()
  return stop
}
