import { AppError } from '@anteroom/base'
import { errorDefinitions } from '@anteroom/contract'

/** Runs a program to its end. What goes wrong is told to the person at the terminal: what, its code, what to do. */
export function runProgram(main: () => Promise<void>): void {
  main().catch((error: unknown) => {
    const { code, message } = AppError.from(error)
    process.stderr.write(`anteroom: ${message} (${code})\n${errorDefinitions[code].hint}\n`)
    if (code === 'internal') process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    process.exitCode = 1
  })
}
