import { AppError, CommandError, runCommand, type Scope } from '@anteroom/base'

export interface QemuVersion {
  /** First line of `--version`. */
  readonly text: string
  readonly major: number
  readonly minor: number
}

/** @throws AppError vmm_missing when the binary is absent, not executable or not QEMU */
export async function qemuVersion(binary: string, scope: Scope): Promise<QemuVersion> {
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
  return { text, major: Number(major), minor: Number(minor) }
}
