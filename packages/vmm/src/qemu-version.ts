import { stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { AppError, CommandError, runCommand, type Scope } from '@anteroom/base'

export interface QemuVersion {
  /** First line of `--version`. */
  readonly text: string
  readonly major: number
  readonly minor: number
}

export const isSince = (version: QemuVersion, major: number, minor: number): boolean =>
  version.major > major || (version.major === major && version.minor >= minor)

/** Debian 12's, the oldest that machines were seen to run with. */
const oldest = { major: 7, minor: 2 } as const

/** Asking takes a tenth of a second, most of a restore; a binary that stays the same file keeps its answer. */
const known = new Map<string, { readonly file: string; readonly version: QemuVersion }>()

/** @throws AppError vmm_missing when the binary is absent, not executable, not QEMU or too old */
export async function qemuVersion(binary: string, scope: Scope): Promise<QemuVersion> {
  const file = await fileIdentity(binary)
  const earlier = known.get(binary)
  if (file !== undefined && earlier?.file === file) return earlier.version
  const version = await ask(binary, scope)
  if (file !== undefined) known.set(binary, { file, version })
  return version
}

/** undefined where there is no such file: then asking says so. */
async function fileIdentity(binary: string): Promise<string | undefined> {
  const directories = binary.includes('/') ? [''] : (process.env.PATH ?? '').split(delimiter)
  for (const directory of directories) {
    const path = join(directory, binary)
    const found = await stat(path, { bigint: true }).catch(() => undefined)
    if (found?.isFile()) return [path, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(' ')
  }
  return undefined
}

async function ask(binary: string, scope: Scope): Promise<QemuVersion> {
  const { stdout } = await runCommand(scope, binary, ['--version']).catch((error: unknown) => {
    if (error instanceof CommandError) throw new AppError('vmm_missing', { detail: error.message, cause: error })
    throw error
  })
  const text = stdout.split('\n', 1)[0] ?? ''
  const [, major, minor] = /^QEMU emulator version (\d+)\.(\d+)/.exec(text) ?? []
  if (!major || !minor)
    throw new AppError('vmm_missing', {
      detail: `${binary} --version answered "${text.slice(0, 200)}", not QEMU's version`,
    })
  const version = { text, major: Number(major), minor: Number(minor) }
  if (!isSince(version, oldest.major, oldest.minor))
    throw new AppError('vmm_missing', {
      detail: `${binary} is "${text}"; machines need QEMU ${oldest.major}.${oldest.minor} or newer`,
    })
  return version
}
