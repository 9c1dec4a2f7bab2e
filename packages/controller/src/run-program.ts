import { AppError, systemErrorCode } from '@anteroom/base'
import { errorDefinitions } from '@anteroom/contract'

/** Runs a program to its end. What goes wrong is told to the person at the terminal: what, its code, what to do. */
export function runProgram(main: () => Promise<void>): void {
  main().catch((error: unknown) => {
    const { code, message } = AppError.from(misread(error) ?? error)
    process.stderr.write(`anteroom: ${message} (${code})\n${errorDefinitions[code].hint}\n`)
    if (code === 'internal') process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    process.exitCode = 1
  })
}

/** What `parseArgs` of node:util throws for a flag that it was not told of. */
function misread(error: unknown): AppError | undefined {
  if (!systemErrorCode(error)?.startsWith('ERR_PARSE_ARGS_')) return undefined
  const what = error instanceof Error ? error.message : String(error)
  return new AppError('config_invalid', { detail: `the command line: ${what}`, cause: error })
}
