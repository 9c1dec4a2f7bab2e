import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, constants, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { AppError, Scope, systemErrorCode } from '@anteroom/base'
import { findVmms } from './find-vmms.ts'
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
  await endProbe(options.cacheFile, scope)
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
      systemErrorCode(error) === 'ENOENT'
        ? 'this host has no /dev/kvm'
        : 'this user may not open /dev/kvm; members of the group kvm may',
  )

async function remembered(options: MeasureOptions, version: string, scope: Scope): Promise<string | null> {
  const kernel = createHash('sha256')
  for (const file of [options.kernel, options.initrd]) await pipeline(createReadStream(file), kernel, { end: false })
  const key = [await bootId(), version, kernel.digest('hex')].join(' ')
  const known = await readVerdict(options.cacheFile)
  if (known?.key === key) return known.note
  const { note, lasting } = await probe(options, scope)
  scope.log.info({ kvm: note === null, note }, 'measured whether KVM runs a guest here')
  if (!lasting) return note
  await writeFile(`${options.cacheFile}.new`, `${JSON.stringify({ key, note } satisfies Verdict)}\n`)
  await rename(`${options.cacheFile}.new`, options.cacheFile)
  return note
}

/** A verdict that cannot be read is measured again. */
const readVerdict = (path: string): Promise<Verdict | undefined> =>
  readFile(path, 'utf8')
    .then((text): Verdict => JSON.parse(text))
    .catch(() => undefined)

interface Measured extends Omit<Verdict, 'key'> {
  /** False for what may have been an accident; measured again next time. */
  readonly lasting: boolean
}

async function probe(options: MeasureOptions, scope: Scope): Promise<Measured> {
  const { directory, instance } = probePlace(options.cacheFile)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return await scope.run({ name: 'measuring KVM', deadlineMs: probeMs + 30_000 }, async (scope) => {
    const { binary, kernel, initrd, runAs } = options
    const machine = { ...{ binary, runAs, directory, instance }, id: 'kvm_probe', wanted: 'running' } as const
    const origin = { kind: 'boot', kernel, initrd, commandLine: 'anteroom.probe', memoryFile: null } as const
    const guest = { origin, rootfs: null, network: null, memoryMiB: 256, vcpus: 1 }
    scope.defer(() => endProbe(options.cacheFile, Scope.root('end of the KVM probe', scope.log, scope.clock)))
    const giveUpAt = scope.clock.monotonic() + probeMs
    const files = vmmFiles(directory)
    const spoke = async () => (await tailOf(files.console, 64 * 1024)).includes(probeWord)
    try {
      const { identity } = await startVmm({ ...machine, ...guest, accelerator: 'kvm' }, scope)
      return await scope.until(async () => {
        // First whether it lives: a guest that has spoken may turn itself off.
        const alive = await isAlive(identity)
        if (await spoke()) return { note: null, lasting: true }
        if (!alive) return { note: `QEMU ended under KVM: ${await tailOf(files.log, 500)}`, lasting: false }
        if (scope.clock.monotonic() < giveUpAt) return undefined
        return { note: `a guest started under KVM said nothing for ${probeMs / 1000} seconds`, lasting: true }
      }, 50)
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'vmm_exited') throw error
      if (await spoke()) return { note: null, lasting: true }
      return { note: `QEMU refuses KVM: ${error.detail}`, lasting: false }
    }
  })
}

const probePlace = (cacheFile: string) => ({
  directory: `${cacheFile}.probe`,
  instance: createHash('sha256').update(cacheFile).digest('hex').slice(0, 6),
})

/** The probe's machine, also one that an earlier process did not come to end. */
async function endProbe(cacheFile: string, scope: Scope): Promise<void> {
  const { directory, instance } = probePlace(cacheFile)
  for (const { identity } of await findVmms(instance)) await end(identity, scope)
  await rm(directory, { recursive: true, force: true })
}
