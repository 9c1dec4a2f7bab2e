import { AppError } from './app-error.ts'
import { type Clock, systemClock } from './clock.ts'
import { type Log, silentLog } from './log.ts'

type Cleanup = () => Promise<void> | void

export interface ScopeOptions {
  /** What is going on, in words: names the operation in `deadline_exceeded`. */
  readonly name: string
  readonly deadlineMs?: number
  /** What every line of its log is about: `session`, `machine`, `request`. */
  readonly about?: object
}

/**
 * Deadline, cancellation, log and cleanup of one operation as one object (after Playwright's Progress).
 * `defer` runs whenever the operation is over, `undo` only when it failed; both in reverse order, each once.
 */
export class Scope {
  readonly name: string
  readonly log: Log
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly #controller = new AbortController()
  readonly #deadlineAt: number
  #deferred: Cleanup[] = []
  #undos: Cleanup[] = []

  private constructor(parent: Scope | undefined, options: ScopeOptions, log: Log, clock: Clock) {
    this.name = options.name
    this.log = log
    this.clock = clock
    this.signal = parent ? AbortSignal.any([parent.signal, this.#controller.signal]) : this.#controller.signal
    const own = options.deadlineMs === undefined ? Number.POSITIVE_INFINITY : clock.monotonic() + options.deadlineMs
    this.#deadlineAt = Math.min(own, parent ? parent.#deadlineAt : Number.POSITIVE_INFINITY)
  }

  /** The scope of a process, a test or a background loop. `cancel` ends everything below it. */
  static root(name: string, log: Log = silentLog, clock: Clock = systemClock): Scope {
    return new Scope(undefined, { name }, log, clock)
  }

  /** Milliseconds until the deadline; `Infinity` without one. */
  get remainingMs(): number {
    return Math.max(0, this.#deadlineAt - this.clock.monotonic())
  }

  cancel(reason: AppError = new AppError('session_cancelled', { detail: this.name })): void {
    this.#controller.abort(reason)
  }

  throwIfOver(): void {
    if (this.signal.aborted) throw AppError.from(this.signal.reason)
    if (this.remainingMs === 0) throw this.#deadlineError()
  }

  /** Runs when the operation is over, however it ended. */
  defer(cleanup: Cleanup): void {
    this.#deferred.push(cleanup)
  }

  /** Runs when the operation failed, also when it succeeded only after its caller had given up. */
  undo(cleanup: Cleanup): void {
    this.#undos.push(cleanup)
  }

  /**
   * Runs `operation` in a scope below this one. Rejects at the deadline or on cancellation even if `operation` does not
   * listen; what it completes afterwards is undone.
   */
  async run<T>(options: ScopeOptions, operation: (scope: Scope) => Promise<T>): Promise<T> {
    const log = options.about ? this.log.child(options.about) : this.log
    const scope = new Scope(this, options, log, this.clock)
    scope.throwIfOver()
    let over = false
    const work = operation(scope).then(
      async (value) => {
        if (over) await scope.#finish(true)
        return value
      },
      async (error: unknown) => {
        if (over) {
          await scope.#finish(true)
          scope.log.debug({ operation: scope.name, error }, 'failed after its caller had given up')
        }
        throw error
      },
    )
    try {
      const value = await scope.race(work)
      over = true
      // What the operation left running, such as the loser of a race, ends with it.
      scope.#controller.abort(new AppError('deadline_exceeded', { detail: `${scope.name} is over` }))
      await scope.#finish(false)
      return value
    } catch (error) {
      const abandoned = scope.signal.aborted || scope.remainingMs === 0
      over = true
      scope.#controller.abort(AppError.from(error))
      // Still running: its own settling (above) cleans up. The rejection was reported here already.
      if (abandoned) work.catch(() => {})
      await scope.#finish(true)
      throw error
    }
  }

  /** `promise`, or a rejection at this scope's deadline or cancellation, whichever is first. */
  async race<T>(promise: Promise<T>): Promise<T> {
    // Where the scope is over already nobody would hear its rejection, and the process would end for it.
    promise.catch(() => {})
    this.throwIfOver()
    const settled = new AbortController()
    const ended = this.clock.delay(this.remainingMs, AbortSignal.any([this.signal, settled.signal])).then(() => {
      this.throwIfOver()
      if (!settled.signal.aborted) throw this.#deadlineError()
      return promise
    })
    try {
      return await Promise.race([promise, ended])
    } finally {
      // With a reason: without one Node makes an exception, stack and all, each time.
      settled.abort('settled')
      ended.catch(() => {})
    }
  }

  /**
   * Asks `condition` until it answers something other than undefined, then gives that. The waits grow from `everyMs` to
   * eight times of it. Rejects at the deadline.
   */
  async until<T>(condition: () => Promise<T | undefined> | T | undefined, everyMs: number): Promise<T> {
    for (let wait = everyMs; ; wait = Math.min(wait * 1.5, everyMs * 8)) {
      this.throwIfOver()
      const answer = await this.race(Promise.resolve(condition()))
      if (answer !== undefined) return answer
      await this.race(this.clock.delay(wait, this.signal))
    }
  }

  #deadlineError(): AppError {
    return new AppError('deadline_exceeded', { detail: this.name })
  }

  async #finish(failed: boolean): Promise<void> {
    const cleanups = failed ? [...this.#deferred, ...this.#undos] : this.#deferred
    this.#deferred = []
    if (failed) this.#undos = []
    for (const cleanup of cleanups.reverse()) {
      try {
        await cleanup()
      } catch (error) {
        this.log.error({ operation: this.name, error }, 'cleanup failed')
      }
    }
  }
}
