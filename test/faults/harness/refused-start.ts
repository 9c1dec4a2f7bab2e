import { join, resolve } from 'node:path'
import { CommandError, runCommand, Scope } from '@anteroom/base'
import { type ErrorCode, isErrorCode } from '@anteroom/contract'

const main = join(resolve(import.meta.dirname, '../../..'), 'packages/controller/src/main.ts')

export interface Refusal {
  readonly code: ErrorCode
  /** What the person at the terminal reads. */
  readonly said: string
}

/** Starts the program as an operator does, with these settings in its environment; an error when it does not refuse. */
export async function refusedStart(home: string, settings: Readonly<Record<string, string>> = {}): Promise<Refusal> {
  const inherited = Object.entries(process.env).filter(([variable]) => !variable.startsWith('ANTEROOM_'))
  const env = { ...Object.fromEntries(inherited), ...settings }
  const args = [main, '--port', '0', '--home', home]
  const failure = await Scope.root('faults')
    .run({ name: 'a start that is refused', deadlineMs: 30_000 }, (scope) =>
      runCommand(scope, process.execPath, args, { env }),
    )
    .then(
      () => undefined,
      (error: unknown) => (error instanceof CommandError ? error.failure : Promise.reject(error)),
    )
  const said = failure?.stderr ?? ''
  const code = /\((\w+)\)$/m.exec(said)?.[1] ?? ''
  if (failure?.exitCode !== 1 || !isErrorCode(code)) throw new Error(`it was not refused with a code: ${said}`)
  return { code, said }
}
