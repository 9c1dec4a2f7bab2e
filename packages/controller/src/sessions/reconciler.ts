import { AppError, type Scope } from '@anteroom/base'
import { type ErrorCode, failure as failureSchema } from '@anteroom/contract'
import { notEnded } from '../store/store.ts'
import { createAdmission } from './admission.ts'
import { createLifecycle } from './lifecycle.ts'
import type { Limits } from './limits.ts'
import type { Queue } from './queue.ts'
import type { SessionDeps } from './session-deps.ts'
import type { SessionRow, SessionRows } from './session-rows.ts'
import { isOpen } from './state.ts'
import { createSweep } from './sweep.ts'

/** Without a kick the rows are looked at this often: for expiry, backoff and whatever else only time brings. */
const tickMs = 1_000

/** Troubles that pass: the chapter is tried again while the session has time. Anything else ends the session. */
const passing: ReadonlySet<ErrorCode> = new Set([
  'agent_unreachable',
  'store_unavailable',
  'vault_unavailable',
  'disk_full',
])
/** Where there is no room for its machine nobody has anything to lose yet, and is told at once. */
const passes = ({ status }: SessionRow, { code }: AppError): boolean =>
  passing.has(code) && !(code === 'disk_full' && status === 'starting')
const mostAttempts: Partial<Record<ErrorCode, number>> = { agent_unreachable: 3 }

const backoffMs = (attempt: number): number => Math.min(30_000, 250 * 2 ** attempt)

/** Moves the world toward the rows. May die at any line and be run again. */
export interface Reconciler {
  /** Clears what a crash left behind, then keeps going until `scope` is over. Resolves when every task has let go. */
  run(scope: Scope): Promise<void>
  /** Something was written that wants doing. */
  kick(): void
  /** Something was asked of this session that should not wait for what it is doing. */
  interrupt(id: string): void
}

export function createReconciler(
  deps: SessionDeps,
  { rows, limits, queue }: { readonly rows: SessionRows; readonly limits: Limits; readonly queue: Queue },
): Reconciler {
  const { store, leases, clock, log } = deps
  const lifecycle = createLifecycle(deps, rows)
  const admit = createAdmission(deps, { rows, lifecycle, queue, tell })
  const tasks = new Map<string, { readonly done: Promise<void>; readonly interrupt: () => void }>()
  let wake = Promise.withResolvers<void>()

  const kick = (): void => wake.resolve()

  /** One session, as far as it goes: until it has ended, has to wait, or is interrupted. */
  async function drive(id: string, scope: Scope): Promise<void> {
    for (;;) {
      scope.throwIfOver()
      const row = await rows.load(store.db, id)
      if (row.status === 'queued' && row.end_requested === null) return
      if (row.status === 'ended' || row.not_before > clock.now()) return
      try {
        await tell(row, await chapter(row, scope))
      } catch (error) {
        // Interrupted or stopping: the row says what is wanted now; nothing has failed.
        if (scope.signal.aborted) throw error
        // What a chapter that was interrupted had under way has moved the row since it was read: nothing has failed.
        if ((await rows.load(store.db, id)).version !== row.version) continue
        await stumble(row, AppError.from(error))
      }
      // It starts no more, or is gone: nothing is in the pool's way, and something may have to be replaced.
      if (row.status === 'vm_created' || row.status === 'ending') deps.pool.kick()
    }
  }

  async function chapter(row: SessionRow, scope: Scope): Promise<SessionRow> {
    if (row.end_requested !== null && isOpen(row.status)) return await lifecycle.end(row, whyEnded(row))
    switch (row.status) {
      case 'starting':
        return await scope.run({ name: 'start the machine', deadlineMs: 60_000 }, (inner) =>
          lifecycle.start(row, inner),
        )
      case 'vm_created':
        return await scope.run({ name: 'wake the machine' }, (inner) => lifecycle.wake(row, inner))
      case 'ready':
        return await scope.run({ name: 'sign in' }, (inner) => lifecycle.signIn(row, inner))
      case 'capturing':
        return await scope.run({ name: 'capture', deadlineMs: 60_000 }, (inner) => lifecycle.keep(row, inner))
      case 'ending':
        return await countEnded(
          await scope.run({ name: 'tear down', deadlineMs: 60_000 }, (inner) => lifecycle.tearDown(row, inner)),
        )
      case 'queued':
      case 'ended':
        return row
      default:
        return row.status satisfies never
    }
  }

  function whyEnded(row: SessionRow): AppError {
    if (row.end_requested !== 'expired') return new AppError('session_cancelled')
    return limits.whyExpired(row, row.status === 'queued' ? queue.whyWaiting(row.id) : undefined)
  }

  async function countEnded(row: SessionRow): Promise<SessionRow> {
    const { outcome, failure, stages } = await rows.resource(store.db, row)
    if (outcome !== null) deps.metrics.sessionEnded(outcome, failure?.code)
    for (const { name, duration_ms } of stages) if (duration_ms !== null) deps.metrics.stageEnded(name, duration_ms)
    return row
  }

  /** The machine has a lease before the row names it. */
  async function about({ id, browser_vm_id }: SessionRow): Promise<{ session: string; machine?: string }> {
    const lease = browser_vm_id === null ? await leases.ofSession(store.db, id).catch(() => undefined) : undefined
    const machine = browser_vm_id ?? lease?.id
    return { session: id, ...(machine !== undefined && { machine }) }
  }

  /** One line for each state that a session comes to. */
  async function tell(before: SessionRow, { version, status, outcome, failure }: SessionRow): Promise<void> {
    if (version === before.version) return
    const code = failure === null ? undefined : failureSchema.parse(JSON.parse(failure)).code
    log.info(
      { ...(await about(before)), ...(outcome !== null && { outcome }), ...(code && { code }) },
      `session is ${status}`,
    )
  }

  async function stumble(row: SessionRow, error: AppError): Promise<void> {
    const attempt = row.attempt + 1
    const again =
      row.status === 'ending' ||
      (passes(row, error) && attempt < (mostAttempts[error.code] ?? Number.POSITIVE_INFINITY))
    log[again ? 'warn' : 'error'](
      { ...(await about(row)), code: error.code, status: row.status, attempt, error },
      error.message,
    )
    if (!again) return await tell(row, await lifecycle.end(row, error))
    await store.db
      .updateTable('sessions')
      .set({ attempt, not_before: clock.now() + backoffMs(attempt) })
      .where('id', '=', row.id)
      .where('version', '=', row.version)
      .execute()
  }

  function launch(id: string, scope: Scope): void {
    const abort = new AbortController()
    const done = scope
      .run({ name: id, about: { session: id } }, async (inner) => {
        abort.signal.addEventListener('abort', () => inner.cancel())
        await drive(id, inner)
      })
      .catch(async (error: unknown) => {
        if (scope.signal.aborted || abort.signal.aborted) return
        log.error({ session: id, error }, 'reconciling failed')
        // Not even that could be written down: at once it would fail again, and again.
        await clock.delay(tickMs, AbortSignal.any([scope.signal, abort.signal]))
      })
      .finally(() => {
        tasks.delete(id)
        kick()
      })
    tasks.set(id, { done, interrupt: () => abort.abort() })
  }

  async function tick(scope: Scope): Promise<void> {
    for (const id of await limits.enforce()) tasks.get(id)?.interrupt()
    await admit(scope)
    const due = await store.db
      .selectFrom('sessions')
      .select(['id', 'status', 'end_requested'])
      .where(notEnded)
      .where('not_before', '<=', clock.now())
      .execute()
    for (const { id, status, end_requested } of due)
      if (!tasks.has(id) && (status !== 'queued' || end_requested !== null)) launch(id, scope)
  }

  return {
    kick,
    interrupt(id) {
      tasks.get(id)?.interrupt()
      kick()
    },
    async run(scope) {
      const stopListening = deps.pool.onRoom(kick)
      const sweep = createSweep(deps, scope)
      while (!scope.signal.aborted) {
        wake = Promise.withResolvers<void>()
        try {
          await sweep.ifDue()
          await tick(scope)
        } catch (error) {
          if (!scope.signal.aborted) log.error({ error }, 'reconciler: this round failed; the next one tries again')
        }
        const rest = new AbortController()
        await Promise.race([wake.promise, clock.delay(tickMs, AbortSignal.any([scope.signal, rest.signal]))])
        rest.abort('woken')
      }
      stopListening()
      await Promise.allSettled([...tasks.values()].map((task) => task.done))
      await sweep.done()
    },
  }
}
