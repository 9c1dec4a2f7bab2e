import { AppError, type Clock } from '@anteroom/base'
import { errorDefinitions, type Failure, type SessionEnd } from '@anteroom/contract'
import type { Audit } from '../audit/audit.ts'
import type { Events } from '../events/events.ts'
import type { Row, Store, Tx } from '../store/store.ts'
import { issueCookie } from './cookies.ts'
import { matchesHash } from './secret-hash.ts'

/** The browser may read the result for so long after the session's time is over. */
const resultMarginMs = 15 * 60_000

interface Parts {
  readonly store: Store
  readonly clock: Clock
  readonly events: Events
  readonly audit: Pick<Audit, 'record'>
}

/** Nobody finds the door closed while the page behind it opens the screen. */
const arrivalMs = 60_000

const columns = [
  ...(['id', 'entry_hash', 'entered_at', 'status', 'outcome', 'failure', 'provider', 'return_url'] as const),
  ...(['expires_at', 'may_extend_until', 'first_connect_expires_at'] as const),
] as const
type EntryRow = Pick<Row<'sessions'>, (typeof columns)[number]>

/** What the right secret gives, once: a cookie's value. After the end, as often as it is asked for: how it ended, and no more. */
export type Entry =
  | { readonly cookie: string; readonly expiresAt: number }
  | { readonly cookie: null; readonly end: Omit<SessionEnd, 'provider_title'>; readonly provider: string }

/**
 * Exchanges the secret of `hosted_url`, once, for a cookie that is bound to the session. Who holds the right secret too
 * late is told to the integrator by an event; who guesses is not, so that nobody can fill the log from outside.
 * @throws AppError entry_invalid, the same for every reason
 */
export async function enterSession(parts: Parts, sessionId: string, secret: string): Promise<Entry> {
  const answer = await parts.store.transaction(async (tx) => {
    const row = await tx.selectFrom('sessions').select(columns).where('id', '=', sessionId).executeTakeFirst()
    // Compared also where there is no session: the answer takes the same time.
    const matches = matchesHash(secret, row?.entry_hash)
    return row && matches ? await use(parts, tx, row) : undefined
  })
  parts.events.notify(sessionId)
  if (answer === undefined) throw new AppError('entry_invalid')
  return answer
}

/** undefined: it was used before. Thrown, that would undo the event. */
async function use({ events, clock, audit }: Parts, tx: Tx, row: EntryRow): Promise<Entry | undefined> {
  const now = clock.now()
  const target = { kind: 'session', id: row.id } as const
  const refuse = async (reason: 'used' | 'over'): Promise<void> => {
    await events.append(tx, row.id, 'entry_refused', { reason })
    await audit.record(tx, { action: 'entry.refused', target, outcome: 'refused', details: { reason } })
  }
  if (row.entered_at !== null) {
    await refuse('used')
    return undefined
  }
  if (row.status === 'ended' || row.expires_at <= now) {
    await refuse('over')
    return { cookie: null, end: endOf(row), provider: row.provider }
  }
  const waited = row.first_connect_expires_at
  const first_connect_expires_at = waited === null ? null : Math.max(waited, now + arrivalMs)
  await tx.updateTable('sessions').set({ entered_at: now, first_connect_expires_at }).where('id', '=', row.id).execute()
  await events.append(tx, row.id, 'entered', {})
  await audit.record(tx, { action: 'entry.used', target, actor: { kind: 'visitor', id: row.id } })
  const expiresAt = (row.may_extend_until ?? row.expires_at) + resultMarginMs
  return { cookie: await issueCookie(tx, row.id, expiresAt), expiresAt }
}

function endOf({ outcome, failure, return_url }: EntryRow): Omit<SessionEnd, 'provider_title'> {
  // Its time may be over before that is written down.
  const late = { code: 'session_expired', message: errorDefinitions.session_expired.person } as const
  if (outcome === null) return { outcome: 'expired', failure: late, return_url }
  if (failure === null) return { outcome, failure, return_url }
  const { code, message } = JSON.parse(failure) as Failure
  return { outcome, failure: { code, message }, return_url }
}
