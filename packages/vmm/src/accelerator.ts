import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, constants, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { AppError, Scope, systemErrorCode } from '@anteroom/base'
import { bootId, end, isAlive } from './process-identity.ts'
import { qemuVersion } from './qemu-version.ts'
import type { Accelerator } from './spec.ts'
import { startVmm, vmmFiles } from './start-vmm.ts'
import { tailOf } from './tail.ts'

export interface MeasureOptions {
  readonly binary: string
  readonly kernel: string
  /** Prints `anteroom: probe ok` early when `anteroom.probe` is on the kernel's command line. */
  readonly initrd: string
  /** Remembers the verdict; its directory is made when it is missing. */
  readonly cacheFile: string
  readonly want: 'auto' | Accelerator
  readonly runAs: number | null
}

export interface Acceleration {
  /** First line of `--version`. */
  readonly version: string
  readonly accelerator: Accelerator
  /** Why KVM is not used; null when it is. */
  readonly note: string | null
}

/** A guest under KVM speaks within a second; ten leave room for a busy host. */
const probeMs = 10_000
const probeWord = 'anteroom: probe ok'

interface Verdict {
  /** The host's boot, QEMU and kernel that it was measured with; another combination is measured again. */
  readonly key: string
  readonly note: string | null
}

/**
 * Which accelerator to use. KVM only where a guest was seen to run: there are hosts where /dev/kvm opens, answers and
 * creates a virtual CPU on which no kernel runs.
 * @throws AppError vmm_missing; kvm_required when KVM is wanted and does not work
 */
export async function measureAccelerator(options: MeasureOptions, scope: Scope): Promise<Acceleration> {
  const version = (await qemuVersion(options.binary, scope)).text
  if (options.want === 'tcg') return { version, accelerator: 'tcg', note: 'vmm.accelerator is `tcg`' }
  const note = (await whyNotOpened()) ?? (await remembered(options, version, scope))
  if (note === null) return { version, accelerator: 'kvm', note }
  if (options.want === 'kvm') throw new AppError('kvm_required', { detail: note })
  return { version, accelerator: 'tcg', note }
}

const whyNotOpened = (): Promise<string | undefined> =>
  access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => undefined,
    (error: unknown) =>
      systemErrorCode(error) === 'ENOENT' ? 'this host has no /dev/kvm' : 'this user may not open /dev/kvm',
  )

async function remembered(options: MeasureOptions, version: string, scope: Scope): Promise<string | null> {
  const kernel = createHash('sha256')
  for (const file of [options.kernel, options.initrd]) await pipeline(createReadStream(file), kernel, { end: false })
  const key = [await bootId(), version, kernel.digest('hex')].join(' ')
  const known = await readVerdict(options.cacheFile)
  if (known?.key === key) return known.note
  const note = await probe(options, scope)
  scope.log.info({ kvm: note === null, note }, 'measured whether KVM runs a guest here')
  await writeFile(`${options.cacheFile}.new`, `${JSON.stringify({ key, note } satisfies Verdict)}\n`)
  await rename(`${options.cacheFile}.new`, options.cacheFile)
  return note
}

/** A verdict that cannot be read is measured again. */
const readVerdict = (path: string): Promise<Verdict | undefined> =>
  readFile(path, 'utf8')
    .then((text): Verdict => JSON.parse(text))
    .catch(() => undefined)

/** null when a guest ran; else why not. */
async function probe(options: MeasureOptions, scope: Scope): Promise<string | null> {
  await mkdir(dirname(options.cacheFile), { recursive: true })
  return await scope.run({ name: 'measuring KVM', deadlineMs: probeMs + 30_000 }, async (scope) => {
    const directory = await mkdtemp(join(dirname(options.cacheFile), 'kvm-probe-'))
    scope.defer(() => rm(directory, { recursive: true, force: true }))
    const machine = {
      ...({ id: 'kvm_probe', instance: 'probe', accelerator: 'kvm', rootfs: null, network: null } as const),
      ...{ binary: options.binary, kernel: options.kernel, initrd: options.initrd, runAs: options.runAs },
      ...{ commandLine: 'anteroom.probe', memoryMiB: 256, vcpus: 1, directory },
    }
    const giveUpAt = scope.clock.monotonic() + probeMs
    try {
      const { identity } = await startVmm(machine, scope)
      scope.defer(() => end(identity, Scope.root('end of the KVM probe', scope.log, scope.clock)))
      return await scope.until(async () => {
        if ((await tailOf(vmmFiles(directory).console, 64 * 1024)).includes(probeWord)) return null
        if (!(await isAlive(identity))) return `QEMU ended under KVM: ${await tailOf(vmmFiles(directory).log, 500)}`
        if (scope.clock.monotonic() < giveUpAt) return undefined
        return `a guest started under KVM said nothing for ${probeMs / 1000} seconds`
      }, 50)
    } catch (error) {
      if (error instanceof AppError && error.code === 'vmm_exited') return `QEMU refuses KVM: ${error.detail}`
      throw error
    }
  })
}
