import { join, resolve } from 'node:path'
import { CommandError, runCommand, Scope } from '@anteroom/base'
import { type ErrorCode, isErrorCode } from '@anteroom/contract'

const main = join(resolve(import.meta.dirname, '../..'), 'packages/controller/src/main.ts')

export interface Refusal {
  readonly code: ErrorCode
  /** What the person at the terminal reads. */
  readonly said: string
}

/**
 * Starts the program on a state directory as an operator does; an error when it does not refuse. `through`: program and arguments
 * that replace themselves by it.
 */
export async function refusedStart(home: string, through: readonly string[] = []): Promise<Refusal> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ANTEROOM_')))
  const [program = '', ...args] = [...through, process.execPath, main, '--port', '0', '--home', home]
  const failure = await Scope.root('test')
    .run({ name: 'a start that is refused', deadlineMs: 60_000 }, (scope) => runCommand(scope, program, args, { env }))
    .then(
      () => undefined,
      (error: unknown) => (error instanceof CommandError ? error.failure : Promise.reject(error)),
    )
  // How a program ends that cannot go on: run-program.ts.
  const [, said = '', code = ''] = /^anteroom: (.*?) \((\w+)\)$/ms.exec(failure?.stderr ?? '') ?? []
  if (failure?.exitCode !== 1 || !isErrorCode(code))
    throw new Error(`it was not refused with a code: ${failure?.stderr}`)
  return { code, said }
}
