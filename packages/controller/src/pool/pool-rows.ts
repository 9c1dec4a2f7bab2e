import type { Lease } from '../leases/leases.ts'
import { type Db, notEnded, type Row } from '../store/store.ts'

/** The pool's machines: rows of `machines` without a session. */
export const poolMachines = (db: Db): Promise<Lease[]> =>
  db.selectFrom('machines').selectAll().where('session_id', 'is', null).orderBy('created_at').orderBy('id').execute()

/**
 * Gives the machine to the session, unless somebody else was quicker: of several that take it, one finds it without a session.
 * Nothing ever gives it back (trigger `machine_serves_one_session`).
 */
export const assign = (db: Db, id: string, sessionId: string): Promise<Lease | undefined> =>
  db
    .updateTable('machines')
    .set({ session_id: sessionId })
    .where('id', '=', id)
    .where('session_id', 'is', null)
    .where('ready_at', 'is not', null)
    .returningAll()
    .executeTakeFirst()

/** It waits from now on, and may be taken. */
export async function markReady(db: Db, id: string, now: number): Promise<void> {
  await db.updateTable('machines').set({ ready_at: now }).where('id', '=', id).where('session_id', 'is', null).execute()
}

/** It cannot be taken any more; undefined when it has been taken already. */
export const withdraw = (db: Db, id: string): Promise<Lease | undefined> =>
  db
    .updateTable('machines')
    .set({ ready_at: null })
    .where('id', '=', id)
    .where('session_id', 'is', null)
    .returningAll()
    .executeTakeFirst()

/** What became of a session's machine. */
export async function note(
  db: Db,
  id: string,
  change: Partial<Pick<Row<'machines'>, 'origin' | 'snapshot_id' | 'ready_at' | 'created_at'>>,
): Promise<void> {
  await db.updateTable('machines').set(change).where('id', '=', id).execute()
}

/** How many sessions are in the middle of a start, wait for a machine, and have one. */
export async function sessionCounts(db: Db): Promise<{ starting: number; queued: number; running: number }> {
  const open = await db
    .selectFrom('sessions')
    .select(['status', (eb) => eb.fn.countAll<number>().as('count')])
    .where(notEnded)
    .groupBy('status')
    .execute()
  const { running } = await db
    .selectFrom('machines')
    .select((eb) => eb.fn.countAll<number>().as('running'))
    .where('session_id', 'is not', null)
    .executeTakeFirstOrThrow()
  const of = (...statuses: string[]): number =>
    open.filter(({ status }) => statuses.includes(status)).reduce((sum, { count }) => sum + count, 0)
  return { starting: of('starting', 'vm_created'), queued: of('queued'), running }
}
