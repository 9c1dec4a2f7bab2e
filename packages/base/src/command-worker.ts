/** The thread of `runCommand`. It never ends by itself; whoever started it lets go of it (`unref`). */
import { type ExecFileException, execFile } from 'node:child_process'
import { parentPort } from 'node:worker_threads'

/** `abort` ends the program of that number, if it still runs. */
export type CommandOrder = { readonly number: number } & (
  | { readonly abort: true }
  | {
      readonly abort?: never
      readonly file: string
      readonly args: readonly string[]
      readonly input: string
      readonly env: NodeJS.ProcessEnv
      readonly cwd: string | undefined
      /** Milliseconds; 0 for no limit. */
      readonly timeout: number
    }
)

export interface CommandOutcome {
  readonly number: number
  readonly stdout: string
  readonly stderr: string
  /** null when it ended with 0; `code` is its exit status, or why it could not be started. */
  readonly failure: { readonly message: string; readonly code: ExecFileException['code'] } | null
}

const running = new Map<number, AbortController>()

parentPort?.on('message', (order: CommandOrder) => {
  if (order.abort) return running.get(order.number)?.abort()
  const { number, file, args, input, ...options } = order
  const ending = new AbortController()
  running.set(number, ending)
  const answer = (error: ExecFileException | null, stdout: string, stderr: string): void => {
    running.delete(number)
    const failure = error && { message: error.message, code: error.code }
    parentPort?.postMessage({ number, stdout, stderr, failure } satisfies CommandOutcome)
  }
  const limits = { killSignal: 'SIGKILL', maxBuffer: 64 * 1024 * 1024, signal: ending.signal } as const
  try {
    const child = execFile(file, args, { ...options, ...limits }, answer)
    // A program that ends without reading its input closes the pipe; its exit status tells what matters.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  } catch (error) {
    // Words with a null byte, for one.
    answer(error as ExecFileException, '', '')
  }
})
