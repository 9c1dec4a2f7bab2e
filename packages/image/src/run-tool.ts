import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { AppError, type Scope } from '@anteroom/base'
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
  const running = (): boolean => child.exitCode === null && child.signalCode === null && child.pid !== undefined
  scope.defer(async () => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      if (!running() || child.pid === undefined) return
      // The whole group: mmdebstrap's own children do the work.
      process.kill(-child.pid, signal)
      const patience = new AbortController()
      await Promise.race([exited, scope.clock.delay(politeMs, patience.signal)])
      patience.abort()
    }
    await exited
  })
  await scope.race(exited).catch((error: unknown) => {
    if (error instanceof AppError) throw error
    throw new AppError('image_build_failed', { detail: 'setpriv (package util-linux) is missing', cause: error })
  })
  if (child.exitCode !== 0)
    throw await imageBuildFailed(`${command[0]} ended with ${child.signalCode ?? child.exitCode}`, log)
}
