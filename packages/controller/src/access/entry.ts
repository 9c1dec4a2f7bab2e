import { AppError, type Clock } from '@anteroom/base'
import type { Events } from '../events/events.ts'
import type { LimitCode, Row, Store, Tx } from '../store/store.ts'
import { issueCookie } from './cookies.ts'
import { matchesHash } from './secret-hash.ts'

/** The browser may read the result for so long after the session's time is over. */
const resultMarginMs = 15 * 60_000

interface Parts {
  readonly store: Store
  readonly clock: Clock
  readonly events: Events
}

/** Nobody finds the door closed while the page behind it opens the screen. */
const arrivalMs = 60_000

const columns = [
  ...(['id', 'entry_hash', 'entered_at', 'status', 'outcome', 'expired_by'] as const),
  ...(['expires_at', 'may_extend_until', 'first_connect_expires_at'] as const),
] as const
type EntryRow = Pick<Row<'sessions'>, (typeof columns)[number]>

/**
 * Exchanges the secret of `hosted_url`, once, for a cookie that is bound to the session. Who holds the right secret too
 * late is told to the integrator by an event; who guesses is not, so that nobody can fill the log from outside.
 * @throws AppError entry_invalid, the same for every reason; who was sent the link and comes after the end is told the end:
 *   session_expired, session_idle, session_never_opened, session_over
 */
export async function enterSession(parts: Parts, sessionId: string, secret: string): Promise<string> {
  const answer = await parts.store.transaction(async (tx) => {
    const row = await tx.selectFrom('sessions').select(columns).where('id', '=', sessionId).executeTakeFirst()
    // Compared also where there is no session: the answer takes the same time.
    const matches = matchesHash(secret, row?.entry_hash)
    return row && matches ? await use(parts, tx, row) : undefined
  })
  parts.events.notify(sessionId)
  if (answer === undefined) throw new AppError('entry_invalid')
  if (answer instanceof AppError) throw answer
  return answer
}

/** A cookie's value, or why not: thrown it would undo the event. */
async function use({ events, clock }: Parts, tx: Tx, row: EntryRow): Promise<string | AppError> {
  const now = clock.now()
  const isOver = row.status === 'ended' || row.expires_at <= now
  if (row.entered_at !== null || isOver) {
    const isUsed = row.entered_at !== null
    await events.append(tx, row.id, 'entry_refused', { reason: isUsed ? 'used' : 'over' })
    return new AppError(isUsed ? 'entry_invalid' : whyOver(row))
  }
  const waited = row.first_connect_expires_at
  const first_connect_expires_at = waited === null ? null : Math.max(waited, now + arrivalMs)
  await tx.updateTable('sessions').set({ entered_at: now, first_connect_expires_at }).where('id', '=', row.id).execute()
  await events.append(tx, row.id, 'entered', {})
  return await issueCookie(tx, row.id, (row.may_extend_until ?? row.expires_at) + resultMarginMs)
}

function whyOver({ outcome, expired_by }: EntryRow): LimitCode | 'session_over' {
  // Its time may be over before that is written down.
  return outcome === 'expired' || outcome === null ? (expired_by ?? 'session_expired') : 'session_over'
}
