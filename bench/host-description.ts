import { constants } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { arch, availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { runCommand, type Scope } from '@anteroom/base'
import { qemuVersion } from '@anteroom/vmm'

/** The machine that figures were measured on; without it they say nothing. */
export interface Host {
  readonly cpu: string
  readonly cores: number
  readonly memory_mib: number
  readonly kernel: string
  readonly distribution: string
  /** What runs machines here; null where that was never measured. */
  readonly accelerator: string | null
  /** null: not installed. */
  readonly qemu: string | null
  readonly node: string
}

/** The code that was measured. */
export interface Revision {
  /** null outside of a git checkout. */
  readonly commit: string | null
  /** Something besides earlier results differs from that commit. */
  readonly dirty: boolean
}

export async function describeHost(home: string, scope: Scope): Promise<Host> {
  const qemu = await qemuVersion('qemu-system-x86_64', scope).catch(() => undefined)
  return {
    cpu: (cpus()[0]?.model ?? 'unknown').trim().replace(/\s+/g, ' '),
    cores: availableParallelism(),
    memory_mib: Math.round(totalmem() / 1024 ** 2),
    kernel: `${type()} ${release()} ${arch()}`,
    distribution: await distribution(),
    accelerator: await accelerator(home),
    qemu: qemu?.text ?? null,
    node: process.version,
  }
}

/** os-release(5): the value may be quoted. */
async function distribution(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return /^PRETTY_NAME=(["']?)(.*)\1$/m.exec(text)?.[2] ?? 'unknown'
}

/** What the controller of this state directory measured; where there is no KVM, nothing needs to be measured. */
async function accelerator(home: string): Promise<string | null> {
  const canOpen = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  )
  if (!canOpen) return 'tcg'
  const verdict = await readFile(join(home, 'cache/acceleration.json'), 'utf8')
    .then((text): { note: string | null } => JSON.parse(text))
    .catch(() => undefined)
  if (!verdict) return null
  return verdict.note === null ? 'kvm' : 'tcg'
}

export async function describeRevision(checkout: string, scope: Scope): Promise<Revision> {
  const git = async (...args: string[]): Promise<string> =>
    (await runCommand(scope, 'git', args, { cwd: checkout })).stdout.trim()
  try {
    const commit = await git('rev-parse', 'HEAD')
    return { commit, dirty: (await git('status', '--porcelain', '--', '.', ':!bench/results')) !== '' }
  } catch {
    return { commit: null, dirty: false }
  }
}
