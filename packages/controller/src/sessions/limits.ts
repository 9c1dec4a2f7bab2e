import { AppError } from '@anteroom/base'
import type { CreateSession, ExtendSession } from '@anteroom/contract'
import type { Config } from '../config.ts'
import { type LimitCode, notEnded, type Reach, within } from '../store/store.ts'
import type { SessionDeps } from './session-deps.ts'
import type { SessionRow, SessionRows } from './session-rows.ts'
import { isOpen } from './state.ts'

type Timeouts = Config['timeouts']

/** What somebody did is written this often at the most, unless the session would end without it. */
const writeEveryMs = 5_000
/** After a start of the controller: nobody could type while there was none, and pages need a moment to come back. */
const graceMs = 60_000

/**
 * What ends a session that nobody ends: it lasted long enough, nobody came, nobody does anything any more. Each limit is a moment
 * in the row, null while it is not in force; who is there moves it, and the reconciler asks for the end when it has passed.
 */
export interface Limits {
  /** Takes what people did into the rows, then asks for the end of each session whose time is over; gives their ids. */
  enforce(): Promise<string[]>
  /** @throws AppError not_found, session_over, extension_refused */
  extend(id: string, how: ExtendSession, reach?: Reach): Promise<void>
  /** Of a session whose time is over; `held`: why the queue in which it still is did not move. */
  whyExpired(row: SessionRow, held?: AppError): AppError
}

/** @throws AppError invalid_request when more is asked for than the operator allows */
export function firstLimits(
  { session_seconds, max_session_seconds }: Timeouts,
  { timeout_seconds = session_seconds }: CreateSession,
  now: number,
): Pick<SessionRow, 'expires_at' | 'may_extend_until'> {
  if (timeout_seconds > max_session_seconds)
    throw new AppError('invalid_request', {
      fields: [{ pointer: '/timeout_seconds', message: `must be at most ${max_session_seconds}, the maximum here` }],
    })
  return { expires_at: now + timeout_seconds * 1000, may_extend_until: now + max_session_seconds * 1000 }
}

/** From now on somebody is waited for. */
export const limitsOfReady = ({ first_connect_seconds }: Timeouts, now: number) => ({
  first_connect_expires_at: now + first_connect_seconds * 1000,
})

type LimitDeps = Pick<SessionDeps, 'store' | 'clock' | 'events' | 'audit' | 'config'> & {
  readonly live: Pick<SessionDeps['live'], 'presenceOf'>
}

export function createLimits(deps: LimitDeps, rows: Pick<SessionRows, 'load'>): Limits {
  const { store, clock, live, events, audit, config } = deps
  const { timeouts } = config
  const idleMs = timeouts.idle_seconds * 1000
  const firstConnectMs = timeouts.first_connect_seconds * 1000
  let graceGiven = false

  /** In a loop of crashes again and again: the hard limit does not move. */
  async function giveGrace(now: number): Promise<void> {
    for (const [limit, longestMs] of [
      ['idle_expires_at', idleMs],
      ['first_connect_expires_at', firstConnectMs],
    ] as const) {
      const until = now + Math.min(graceMs, longestMs)
      await store.db
        .updateTable('sessions')
        .set({ [limit]: until })
        .where(notEnded)
        .where('end_requested', 'is', null)
        .where(limit, '<', until)
        .execute()
    }
    graceGiven = true
  }

  async function notePresence(now: number): Promise<void> {
    const waiting = await store.db
      .selectFrom('sessions')
      .select(['id', 'idle_expires_at'])
      .where(notEnded)
      .where('status', '=', 'ready')
      .where('capture_requested', '=', 0)
      .where('end_requested', 'is', null)
      .execute()
    for (const { id, idle_expires_at: written } of waiting) {
      const { openedAt, inputAt } = live.presenceOf(id) ?? {}
      const at = inputAt ?? (written === null ? openedAt : undefined)
      if (at === undefined) continue
      const until = at + idleMs
      const isWanted = written === null || until - written >= writeEveryMs || (written <= now && until > written)
      if (isWanted) await moveIdle(id, until, written === null)
    }
  }

  async function moveIdle(id: string, until: number, isFirst: boolean): Promise<void> {
    await store.transaction(async (tx) => {
      const { numUpdatedRows } = await tx
        .updateTable('sessions')
        .set({ idle_expires_at: until, first_connect_expires_at: null })
        .where('id', '=', id)
        .where('status', '=', 'ready')
        .where('capture_requested', '=', 0)
        .where('end_requested', 'is', null)
        // An extension may have come in between.
        .where((eb) => eb.or([eb('idle_expires_at', 'is', null), eb('idle_expires_at', '<', until)]))
        .executeTakeFirstOrThrow()
      if (isFirst && numUpdatedRows > 0n) await events.append(tx, id, 'viewer', { opened: true })
    })
    if (isFirst) events.notify(id)
  }

  /** One statement, so that nobody moves a limit between the look and the verdict. The limit that was first is the reason. */
  async function endLate(now: number): Promise<string[]> {
    const late = await store.db
      .updateTable('sessions')
      .set((eb) => {
        const wasFirst = (limit: 'first_connect_expires_at' | 'idle_expires_at') =>
          eb.and([eb(limit, '<=', now), eb(limit, '<=', eb.ref('expires_at'))])
        const expired_by = eb
          .case()
          .when(wasFirst('first_connect_expires_at'))
          .then<LimitCode>('session_never_opened')
          .when(wasFirst('idle_expires_at'))
          .then<LimitCode>('session_idle')
          .else<LimitCode>('session_expired')
          .end()
        return { end_requested: 'expired', expired_by }
      })
      .where(notEnded)
      .where('status', '<>', 'ending')
      .where('end_requested', 'is', null)
      .where((eb) =>
        eb.or([
          eb('expires_at', '<=', now),
          eb('idle_expires_at', '<=', now),
          eb('first_connect_expires_at', '<=', now),
        ]),
      )
      .returning('id')
      .execute()
    return late.map(({ id }) => id)
  }

  return {
    async enforce() {
      const now = clock.now()
      if (!graceGiven) await giveGrace(now)
      await notePresence(now)
      return await endLate(now)
    },

    async extend(id, { idle_only }, reach = 'everything') {
      await store.transaction(async (tx) => {
        const row = await rows.load(within(tx, reach), id)
        const now = clock.now()
        if (!isOpen(row.status) || row.end_requested !== null || row.expires_at <= now)
          throw new AppError('session_over')
        const most = row.may_extend_until ?? row.expires_at
        if (!idle_only && row.expires_at >= most)
          throw new AppError('extension_refused', {
            detail: `it ends at ${new Date(row.expires_at).toISOString()}, which is as late as is allowed here`,
          })
        const expires_at = idle_only ? row.expires_at : Math.min(row.expires_at + timeouts.session_seconds * 1000, most)
        const anew = (limit: number | null, ms: number): number | null => (limit === null ? null : now + ms)
        await tx
          .updateTable('sessions')
          .set({
            expires_at,
            idle_expires_at: anew(row.idle_expires_at, idleMs),
            first_connect_expires_at: anew(row.first_connect_expires_at, firstConnectMs),
          })
          .where('id', '=', id)
          .execute()
        const until = { expires_at: new Date(expires_at).toISOString(), idle_only }
        await events.append(tx, id, 'extended', until)
        await audit.record(tx, { action: 'session.extended', target: { kind: 'session', id }, details: until })
      })
    },

    whyExpired({ expired_by }, held) {
      switch (expired_by) {
        case 'session_idle':
          return new AppError(expired_by, { detail: `the limit is ${timeouts.idle_seconds} s (timeouts.idle_seconds)` })
        case 'session_never_opened':
          return new AppError(expired_by, {
            detail: `the limit is ${timeouts.first_connect_seconds} s (timeouts.first_connect_seconds)`,
          })
        default:
          return new AppError('session_expired', held ? { detail: `no machine could be had: ${held.message}` } : {})
      }
    },
  }
}
