import { Worker } from 'node:worker_threads'
import { AppError } from './app-error.ts'
import type { CommandOrder, CommandOutcome } from './command-worker.ts'
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
 * Runs a program to its end, never through a shell, started by another thread: the kernel holds whoever starts a program until it
 * has begun, and for as long as that takes on a busy host nobody else would be served. Ends it when the scope is over.
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
  const { input = '', env = process.env, cwd } = options
  const { stdout, stderr, failure } = await onThread(scope.signal, {
    ...{ file, args, input, cwd, timeout },
    // What a thread is sent is copied, which the object of the process does not allow.
    env: { ...env },
  })
  if (!failure) return { stdout, stderr }
  const cause = new Error(failure.message)
  if (scope.signal.aborted || scope.remainingMs === 0)
    throw new AppError('deadline_exceeded', { detail: `${scope.name}: ${file}`, cause })
  throw new CommandError(file, args, failureOf(failure, stderr), cause)
}

function failureOf({ code }: NonNullable<CommandOutcome['failure']>, stderr: string): CommandFailure {
  return {
    exitCode: typeof code === 'number' ? code : null,
    notStarted: code === 'ENOENT' || code === 'EACCES' ? code : null,
    stderr,
  }
}

interface Waiting {
  resolve(outcome: CommandOutcome): void
  reject(error: Error): void
}

let thread: Worker | undefined
const waiting = new Map<number, Waiting>()
let orders = 0

type Command = Omit<Extract<CommandOrder, { readonly file: string }>, 'number' | 'abort'>

async function onThread(signal: AbortSignal, command: Command): Promise<CommandOutcome> {
  thread ??= startThread()
  const to = thread
  const number = orders++
  const abort = (): void => to.postMessage({ number, abort: true } satisfies CommandOrder)
  signal.addEventListener('abort', abort)
  try {
    return await new Promise((resolve, reject) => {
      waiting.set(number, { resolve, reject })
      to.ref()
      to.postMessage({ number, ...command } satisfies CommandOrder)
    })
  } finally {
    signal.removeEventListener('abort', abort)
    waiting.delete(number)
    // A process with nothing else to do may end.
    if (waiting.size === 0) to.unref()
  }
}

function startThread(): Worker {
  const worker = new Worker(new URL('./command-worker.ts', import.meta.url), { execArgv: [] })
  worker.unref()
  worker.on('message', (outcome: CommandOutcome) => waiting.get(outcome.number)?.resolve(outcome))
  worker.on('error', (error) => {
    thread = undefined
    for (const { reject } of waiting.values()) reject(error)
  })
  return worker
}
