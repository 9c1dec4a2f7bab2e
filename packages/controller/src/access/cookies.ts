import { newToken } from '@anteroom/base'
import type { Db, Row } from '../store/store.ts'
import { secretHash } from './secret-hash.ts'

/** Makes a cookie of the operator (no session) or of a browser that entered a session; gives its value. */
export async function issueCookie(
  db: Db,
  sessionId: string | null,
  expiresAt: number,
  who: Pick<Row<'cookies'>, 'person' | 'rules_hash'> = { person: null, rules_hash: null },
): Promise<string> {
  const value = newToken()
  await db
    .insertInto('cookies')
    .values({ hash: secretHash(value), session_id: sessionId, expires_at: expiresAt, ...who })
    .execute()
  return value
}

export async function findCookie(db: Db, value: string, now: number): Promise<Row<'cookies'> | undefined> {
  return await db
    .selectFrom('cookies')
    .selectAll()
    .where('hash', '=', secretHash(value))
    .where('expires_at', '>', now)
    .executeTakeFirst()
}
