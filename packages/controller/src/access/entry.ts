import { AppError, type Clock } from '@anteroom/base'
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
}

type EntryRow = Pick<Row<'sessions'>, 'id' | 'entry_hash' | 'entered_at' | 'status' | 'expires_at'>

/**
 * Exchanges the secret of `hosted_url`, once, for a cookie that is bound to the session. Who holds the right secret too
 * late is told to the integrator by an event; who guesses is not, so that nobody can fill the log from outside.
 * @throws AppError entry_invalid, the same for every reason
 */
export async function enterSession(parts: Parts, sessionId: string, secret: string): Promise<string> {
  const cookie = await parts.store.transaction(async (tx) => {
    const row = await tx
      .selectFrom('sessions')
      .select(['id', 'entry_hash', 'entered_at', 'status', 'expires_at'])
      .where('id', '=', sessionId)
      .executeTakeFirst()
    // Compared also where there is no session: the answer takes the same time.
    const matches = matchesHash(secret, row?.entry_hash)
    return row && matches ? await use(parts, tx, row) : undefined
  })
  parts.events.notify(sessionId)
  if (!cookie) throw new AppError('entry_invalid')
  return cookie
}

async function use({ events, clock }: Parts, tx: Tx, row: EntryRow): Promise<string | undefined> {
  const now = clock.now()
  const reason = row.entered_at !== null ? 'used' : row.status === 'ended' || row.expires_at <= now ? 'over' : undefined
  if (reason) {
    await events.append(tx, row.id, 'entry_refused', { reason })
    return undefined
  }
  await tx.updateTable('sessions').set({ entered_at: now }).where('id', '=', row.id).execute()
  await events.append(tx, row.id, 'entered', {})
  return await issueCookie(tx, row.id, row.expires_at + resultMarginMs)
}
