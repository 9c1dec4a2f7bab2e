import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { AppError, type Clock, type Scope, systemErrorCode } from '@anteroom/base'
import { type BuildLog, imageBuildFailed } from './build-log.ts'

/** mmdebstrap unmounts what it mounted when it is asked to end; it never needed more than a second. */
const politeMs = 5_000

/**
 * Runs a program of minutes with its output in the build log. It and its children end with the scope; when this process is
 * killed, the kernel tells it to end too (PR_SET_PDEATHSIG), so that nothing goes on writing into a directory that the
 * next build removes.
 * @throws AppError image_build_failed, disk_full
 */
export async function runTool(
  scope: Scope,
  log: BuildLog,
  command: readonly [string, ...string[]],
  env: NodeJS.ProcessEnv = {},
): Promise<void> {
  await log.line(`$ ${command.join(' ')}`)
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', ...command], {
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    env: { ...process.env, ...env },
  })
  const exited = once(child, 'exit')
  scope.defer(async () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      await endGroup(child.pid, scope.clock)
    }
  })
  await scope.race(exited).catch((error: unknown) => {
    if (error instanceof AppError) throw error
    throw new AppError('image_build_failed', { detail: 'setpriv (package util-linux) is missing', cause: error })
  })
  if (child.exitCode !== 0)
    throw await imageBuildFailed(`${command[0]} ended with ${child.signalCode ?? child.exitCode}`, log)
}

/** The whole group: mmdebstrap's own children do the work. Returns when the kernel knows none of them any more. */
async function endGroup(leader: number, clock: Clock): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!signalGroup(leader, signal)) return
    const patience = clock.monotonic() + politeMs
    while (clock.monotonic() < patience) {
      if (!signalGroup(leader, 0)) return
      await clock.delay(20)
    }
  }
}

/** false when there is no process in the group. */
function signalGroup(leader: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-leader, signal)
    return true
  } catch (error) {
    if (systemErrorCode(error) === 'ESRCH') return false
    throw error
  }
}
