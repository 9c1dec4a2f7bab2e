import { join } from 'node:path'
import { AppError, CommandError, runCommand, Scope } from '@anteroom/base'
import { isErrorCode } from '@anteroom/contract'

const controllerSource = join(import.meta.dirname, '../../controller/src')

/**
 * Runs a program of the controller's that works without one; gives what it printed.
 * @throws AppError with the code that it names at the end of what it says
 */
export async function runEntry(file: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await runCommand(Scope.root(file), process.execPath, [join(controllerSource, file), ...args])
    return stdout
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    const [, detail = error.failure.stderr, code = ''] =
      /^anteroom: [^:]+: (.*) \((\w+)\)$/m.exec(error.failure.stderr) ?? []
    throw new AppError(isErrorCode(code) ? code : 'internal', { detail: detail.trim(), cause: error })
  }
}
