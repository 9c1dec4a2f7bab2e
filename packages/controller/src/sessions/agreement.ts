import { AppError } from '@anteroom/base'
import { type Db, type Reach, within } from '../store/store.ts'
import type { SessionDeps } from './session-deps.ts'
import { isOpen } from './state.ts'

/** What the account owner is told before anything begins, besides the session itself. */
export interface Announcement {
  /** Who asked for the session: the id of an API key, or `operator`; null: it was not written down. */
  readonly askedBy: string | null
  /** Somebody was shown all of it and went on. */
  readonly agreed: boolean
}

export interface Agreement {
  /** @throws AppError not_found */
  announcement(id: string): Promise<Announcement>
  /** They want to go on; `by` says so. May be repeated. @throws AppError not_found, session_over */
  agree(id: string, by: string): Promise<void>
  /** @throws AppError not_found, not_agreed */
  requireAgreement(id: string): Promise<void>
}

/** Who goes on just before nobody is waited for any more has the time to see the screen. */
const arrivalMs = 60_000

export function createAgreement(
  deps: Pick<SessionDeps, 'store' | 'events' | 'audit' | 'clock'>,
  reach: Reach,
): Agreement {
  const { store, events, audit, clock } = deps
  const columns = ['status', 'end_requested', 'principal', 'agreed_at', 'first_connect_expires_at'] as const
  async function load(db: Db, id: string) {
    const row = await within(db, reach).selectFrom('sessions').select(columns).where('id', '=', id).executeTakeFirst()
    if (!row) throw new AppError('not_found')
    return row
  }
  const agreement: Agreement = {
    async announcement(id) {
      const { principal, agreed_at } = await load(store.db, id)
      return { askedBy: principal, agreed: agreed_at !== null }
    },

    async agree(id, by) {
      const now = clock.now()
      await store.transaction(async (tx) => {
        const row = await load(tx, id)
        if (!isOpen(row.status) || row.end_requested !== null) throw new AppError('session_over')
        if (row.agreed_at !== null) return
        const waited = row.first_connect_expires_at
        const first_connect_expires_at = waited === null ? null : Math.max(waited, now + arrivalMs)
        await tx
          .updateTable('sessions')
          .set({ agreed_at: now, first_connect_expires_at })
          .where('id', '=', id)
          .execute()
        await events.append(tx, id, 'agreed', { by })
        await audit.record(tx, { action: 'session.agreed', target: { kind: 'session', id } })
      })
      events.notify(id)
    },

    async requireAgreement(id) {
      if (!(await agreement.announcement(id)).agreed) throw new AppError('not_agreed')
    },
  }
  return agreement
}
