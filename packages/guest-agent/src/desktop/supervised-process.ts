import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { AppError, type Scope } from '@anteroom/base'
import type { UnixUser } from '../agent-config.ts'

export interface Program {
  readonly name: string
  readonly file: string
  readonly args: readonly string[]
  readonly env: Record<string, string>
  readonly user?: UnixUser | undefined
  /** Pipes beyond the standard ones, from descriptor 3 on. */
  readonly extraPipes?: number
  /** Lines of its output that say nothing. */
  readonly noise?: RegExp
  /** Resolves when it may be started; before every start. */
  beforeStart(scope: Scope): Promise<void>
  /** Resolves when it does its work. */
  untilUp(child: ChildProcess, scope: Scope): Promise<void>
  /** After every end, before the next start. */
  afterEnd?(): Promise<void> | void
}

export type ProcessState = 'starting' | 'up' | 'lost'

/** The nth early failure in a row waits this long before the next start; one more and the program is lost. */
const restartDelaysMs = [0, 250, 500, 1000, 2000]
/** Being up for this long forgets earlier failures. */
const steadyMs = 30_000
/** Chromium paints 23–31 s after the start of an emulated machine; on a loaded host a multiple of it. */
const upDeadlineMs = 180_000

/** Keeps one program running. */
export class SupervisedProcess {
  readonly #program: Program
  readonly #scope: Scope
  readonly #report: (state: ProcessState) => void
  #child: ChildProcess | undefined
  #stopping = false
  #finished: Promise<void> = Promise.resolve()

  constructor(program: Program, scope: Scope, report: (state: ProcessState) => void) {
    this.#program = program
    this.#scope = scope
    this.#report = report
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  start(): void {
    this.#stopping = false
    this.#finished = this.#keepRunning().catch((error: unknown) => {
      if (this.#stopping || this.#scope.signal.aborted) return
      this.#scope.log.error({ program: this.#program.name, error }, 'could not be supervised any further')
      this.#report('lost')
    })
  }

  /** Ends the program and everything it started; resolves when it is gone. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#kill()
    await this.#finished
  }

  async #keepRunning(): Promise<void> {
    const { name } = this.#program
    const { clock, log } = this.#scope
    let failures = 0
    while (!this.#stopping) {
      await this.#program.beforeStart(this.#scope)
      if (this.#stopping) return
      this.#report('starting')
      const { upForMs, reason } = await this.#runOnce()
      await this.#program.afterEnd?.()
      if (this.#stopping) return
      failures = upForMs > steadyMs ? 1 : failures + 1
      const delayMs = restartDelaysMs[failures - 1]
      log.warn({ program: name, reason, upForMs: Math.round(upForMs), failures }, 'a program ended')
      if (delayMs === undefined) return this.#report('lost')
      await clock.delay(delayMs, this.#scope.signal)
      this.#scope.throwIfOver()
    }
  }

  async #runOnce(): Promise<{ upForMs: number; reason: string }> {
    const { clock } = this.#scope
    const child = this.#spawn()
    this.#child = child
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message))
      child.once('exit', (code, signal) => resolve(signal ?? `exit status ${code}`))
    })
    let upAt: number | undefined
    const up = this.#scope
      .run({ name: `${this.#program.name} comes up`, deadlineMs: upDeadlineMs }, (scope) =>
        scope.race(
          Promise.race([
            this.#program.untilUp(child, scope),
            ended.then((reason) => {
              throw new AppError('internal', { detail: `ended before it was up: ${reason}` })
            }),
          ]),
        ),
      )
      .then(
        () => {
          upAt = clock.monotonic()
          if (!this.#stopping) this.#report('up')
        },
        (error: unknown) => {
          if (!this.#stopping) this.#scope.log.warn({ program: this.#program.name, error }, 'a program did not come up')
          this.#kill()
        },
      )
    const reason = await ended
    await up
    this.#kill()
    this.#child = undefined
    return { upForMs: upAt === undefined ? 0 : clock.monotonic() - upAt, reason }
  }

  #spawn(): ChildProcess {
    const { file, args, env, user, noise, extraPipes = 0 } = this.#program
    // The death signal lets nothing outlive an agent that crashed: its successor finds display and profile free.
    const as = user ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'] : []
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...as, '--', file, ...args], {
      env,
      cwd: '/',
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', ...Array.from({ length: extraPipes }, () => 'pipe' as const)],
    })
    for (const output of [child.stdout, child.stderr]) {
      if (!output) continue
      createInterface({ input: output }).on('line', (line) => {
        if (line.trim() && !noise?.test(line))
          this.#scope.log.debug({ program: this.#program.name, line }, 'a program said')
      })
    }
    return child
  }

  #kill(): void {
    const pid = this.#child?.pid
    if (pid === undefined) return
    try {
      // The whole group: `detached` made the program its leader.
      process.kill(-pid, 'SIGKILL')
    } catch {
      // Gone already.
    }
  }
}
