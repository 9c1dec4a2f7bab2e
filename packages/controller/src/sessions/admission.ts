import { AppError, type Scope } from '@anteroom/base'
import { type ErrorCode, queueReasons } from '@anteroom/contract'
import type { Lifecycle } from './lifecycle.ts'
import type { Queue } from './queue.ts'
import type { SessionDeps } from './session-deps.ts'
import type { SessionRow, SessionRows } from './session-rows.ts'

/** Nothing is wrong with the session: it stays in the queue until there is room, or its time is over. */
const noRoom: ReadonlySet<ErrorCode> = new Set(queueReasons)

interface AdmissionParts {
  readonly rows: SessionRows
  readonly lifecycle: Lifecycle
  readonly queue: Queue
  /** To the log: what became of a session. */
  readonly tell: (before: SessionRow, after: SessionRow) => Promise<void>
}

/** Gives machines to those whose turn it is, as long as there are any. */
export function createAdmission(
  { store, config, pool, events, log }: SessionDeps,
  { rows, lifecycle, queue, tell }: AdmissionParts,
): (scope: Scope) => Promise<void> {
  let waiting = 0
  let held: AppError | undefined

  function hold(reason: AppError | undefined): void {
    // That every machine is in use is no news.
    if (reason && reason.code !== held?.code && reason.code !== 'capacity_exhausted')
      log.warn({ code: reason.code, reason: reason.message }, 'sessions have to wait')
    held = reason
    queue.hold(reason)
  }

  /** Why it could not be admitted; undefined: it was, or it does not wait any more. */
  async function admit(id: string, scope: Scope): Promise<AppError | undefined> {
    const full = new AppError('capacity_exhausted', { detail: 'every machine is in use' })
    if (queue.running >= config.limits.max_machines) return full
    const row = await rows.load(store.db, id)
    if (row.status !== 'queued' || row.end_requested !== null) return undefined
    try {
      const admitted = await lifecycle.admit(row, scope)
      if (admitted === undefined) return full
      queue.admitted(id)
      events.notify(id)
      await tell(row, admitted)
    } catch (error) {
      scope.throwIfOver()
      const reason = AppError.from(error)
      if (noRoom.has(reason.code)) return reason
      log.error({ session: id, code: reason.code, status: row.status, error: reason }, reason.message)
      await tell(row, await lifecycle.end(row, reason))
    }
    return undefined
  }

  return async (scope) => {
    const inTurn = await queue.look()
    // How many wait is part of what the pool is wanted for.
    if (inTurn.length !== waiting) pool.kick()
    waiting = inTurn.length
    for (const id of inTurn) {
      const reason = await admit(id, scope)
      hold(reason)
      if (reason) return
    }
    hold(undefined)
  }
}
