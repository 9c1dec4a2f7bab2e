import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { AppError, type Clock, type Scope, systemErrorCode } from '@anteroom/base'
import { type BuildLog, imageBuildFailed } from './build-log.ts'

/** In the environment of every program of a build and of what those start: its working directory. */
const marker = 'ANTEROOM_IMAGE_BUILD'
/** mmdebstrap unmounts what it mounted when it is asked to end; it never needed more than a second. */
const politeMs = 5_000

export interface Tool {
  readonly command: readonly [string, ...string[]]
  /** Working directory of the build. */
  readonly directory: string
  readonly env?: NodeJS.ProcessEnv
}

/**
 * Runs a program of minutes with its output in the build log. It and its children end with the scope.
 * @throws AppError image_build_failed, disk_full
 */
export async function runTool({ command, directory, env }: Tool, log: BuildLog, scope: Scope): Promise<void> {
  await log.line(`$ ${command.join(' ')}`)
  const [file, ...args] = command
  const child = spawn(file, args, {
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    // Programs of the administrator, which a root shell does not always find.
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, ...env, [marker]: directory },
  })
  const exited = once(child, 'exit')
  scope.defer(async () => {
    const { pid, exitCode, signalCode } = child
    // The whole group: mmdebstrap's own children do the work.
    if (pid !== undefined && exitCode === null && signalCode === null) await endAll(async () => [-pid], scope.clock)
  })
  await scope.race(exited).catch((error: unknown) => {
    if (error instanceof AppError) throw error
    throw new AppError('image_build_failed', { detail: `${file} could not be started; is it installed?`, cause: error })
  })
  if (child.exitCode !== 0)
    throw await imageBuildFailed(`${file} ended with ${child.signalCode ?? child.exitCode}`, log)
}

/** Ends what a killed build left running: it would write on into a directory that is being removed. */
export async function endToolsOf(directory: string, clock: Clock): Promise<void> {
  await endAll(async () => {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
    const owned = await Promise.all(
      pids.map(async (pid) => (await environmentOf(pid)).includes(`${marker}=${directory}`)),
    )
    return pids.filter((_pid, index) => owned[index]).map(Number)
  }, clock)
}

const environmentOf = async (pid: string): Promise<string[]> =>
  (await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')).split('\0')

/** Asks, then forces, until none of them is left; a negative number is a process group, as for kill(2). */
async function endAll(targets: () => Promise<number[]>, clock: Clock): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    let left = (await targets()).filter((target) => send(target, signal))
    const patience = clock.monotonic() + politeMs
    while (left.length > 0 && clock.monotonic() < patience) {
      await clock.delay(20)
      left = (await targets()).filter((target) => send(target, 0))
    }
    if (left.length === 0) return
  }
}

/** false when there is no such process. */
function send(target: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(target, signal)
    return true
  } catch (error) {
    if (systemErrorCode(error) === 'ESRCH') return false
    throw error
  }
}
