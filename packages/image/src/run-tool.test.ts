import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError, Scope, systemClock } from '@anteroom/base'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type BuildLog, openBuildLog } from './build-log.ts'
import { endToolsOf, runTool } from './run-tool.ts'

let directory: string
let log: BuildLog
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anteroom-tool-'))
  log = await openBuildLog(join(directory, 'logs', 'build.log'))
})
afterEach(async () => {
  await log[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})

const run = (script: string, scope = Scope.root('test')): Promise<void> =>
  scope.run({ name: 'tool' }, (scope) => runTool({ command: ['sh', '-c', script], directory }, log, scope))

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** The number that the script writes as its first line. */
const pidFrom = (scope: Scope): Promise<number> =>
  scope.run({ name: 'pid', deadlineMs: 10_000 }, (scope) =>
    scope.until(async () => Number(/^pid (\d+)$/m.exec(await readFile(log.path, 'utf8'))?.[1]) || undefined, 5),
  )

test('output of both kinds and the command itself are in the log', async () => {
  await run('echo out; echo err >&2')
  const text = await readFile(log.path, 'utf8')
  expect(text).toMatch(/^\$ sh -c .*\nout\nerr\n$/)
})

test('a failure carries the status and the end of the log', async () => {
  const failing = run('for n in $(seq 50); do echo line $n; done; exit 3')
  await expect(failing).rejects.toMatchObject({ code: 'image_build_failed' })
  const error = AppError.from(await failing.catch((error: unknown) => error))
  expect(error.detail).toContain('sh ended with 3')
  expect(error.detail).toContain('line 50')
  expect(error.detail).not.toContain('line 30\n')
})

test('a full disk is told apart', async () => {
  const failing = run('echo "cp: error writing: No space left on device"; exit 1')
  await expect(failing).rejects.toMatchObject({ code: 'disk_full' })
})

test('when the scope is cancelled, the program and its children are gone before that is told', async () => {
  const scope = Scope.root('test')
  const running = run('sleep 1000 & echo pid $!; wait', scope)
  const child = await pidFrom(Scope.root('wait'))
  expect(alive(child)).toBe(true)
  scope.cancel()
  await expect(running).rejects.toMatchObject({ code: 'session_cancelled' })
  expect(alive(child)).toBe(false)
})

test('what a killed build left running is ended by its directory, and nothing else is', async () => {
  const left = (build: string) =>
    spawn('sh', ['-c', 'sleep 1000 & wait'], { detached: true, env: { ...process.env, ANTEROOM_IMAGE_BUILD: build } })
  const [mine, other] = [left(directory), left(`${directory}-other`)]
  try {
    const ended = once(mine, 'exit')
    await endToolsOf(directory, systemClock)
    await ended
    expect(other.exitCode ?? other.signalCode).toBeNull()
  } finally {
    await endToolsOf(`${directory}-other`, systemClock)
  }
})
