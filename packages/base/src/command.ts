import { execFile } from 'node:child_process'
import { AppError } from './app-error.ts'
import type { Scope } from './scope.ts'

export interface CommandResult {
  readonly stdout: string
  readonly stderr: string
}

export interface CommandFailure {
  /** null when the program could not be started or was ended by a signal. */
  readonly exitCode: number | null
  /** Why it could not be started; null when it was. */
  readonly notStarted: 'ENOENT' | 'EACCES' | null
  readonly stderr: string
}

/** Thrown by `runCommand`; callers turn it into an AppError of their own. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly failure: CommandFailure
  constructor(file: string, args: readonly string[], failure: CommandFailure, cause: unknown) {
    super(`${[file, ...args].join(' ')} ${whyFailed(failure)}`, { cause })
    this.failure = failure
  }
}

function whyFailed({ notStarted, exitCode, stderr }: CommandFailure): string {
  switch (notStarted) {
    case null:
      return `ended with ${exitCode ?? 'a signal'}: ${stderr.trim()}`
    case 'ENOENT':
      return 'is not installed'
    case 'EACCES':
      return 'may not be executed'
    default:
      return notStarted satisfies never
  }
}

/**
 * Runs a program to its end, never through a shell. Ends it when the scope is over.
 * @throws CommandError when it is missing or fails, AppError `deadline_exceeded`
 */
export async function runCommand(
  scope: Scope,
  file: string,
  args: readonly string[],
  options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv; readonly cwd?: string } = {},
): Promise<CommandResult> {
  scope.throwIfOver()
  const timeout = Number.isFinite(scope.remainingMs) ? Math.max(1, Math.ceil(scope.remainingMs)) : 0
  return await new Promise((resolve, reject) => {
    const child = execFile(
      file,
      [...args],
      {
        signal: scope.signal,
        timeout,
        killSignal: 'SIGKILL',
        maxBuffer: 64 * 1024 * 1024,
        env: options.env ?? process.env,
        ...(options.cwd && { cwd: options.cwd }),
      },
      (error, stdout, stderr) => {
        if (!error) return resolve({ stdout, stderr })
        if (scope.signal.aborted || scope.remainingMs === 0)
          return reject(new AppError('deadline_exceeded', { detail: `${scope.name}: ${file}`, cause: error }))
        reject(new CommandError(file, args, failureOf(error, stderr), error))
      },
    )
    // A program that ends without reading its input closes the pipe; its exit status tells what matters.
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input ?? '')
  })
}

function failureOf({ code }: { readonly code?: unknown }, stderr: string): CommandFailure {
  return {
    exitCode: typeof code === 'number' ? code : null,
    notStarted: code === 'ENOENT' || code === 'EACCES' ? code : null,
    stderr,
  }
}
