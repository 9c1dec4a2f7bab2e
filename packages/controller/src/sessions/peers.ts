import type { Diagnosis, ErrorCode, MachineOrigin, StageName } from '@anteroom/contract'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { median } from './wait-estimate.ts'

const hours = 24
const hourMs = 3_600_000
/** However many sessions there are, so many of the newest are looked at. */
const newest = 500
const mostNamed = 5

/** How sessions of the last day have ended, beside this one. */
export async function similarTo(
  db: Db,
  session: { readonly id: string; readonly code: ErrorCode | null },
  nowMs: number,
): Promise<Diagnosis['similar']> {
  const recent = await db
    .selectFrom('sessions')
    .select(['id', sql<string | null>`json_extract(failure, '$.code')`.as('code')])
    .where('created_at', '>=', nowMs - hours * hourMs)
    .where('status', '=', 'ended')
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(newest)
    .execute()
  const same = session.code === null ? [] : recent.filter(({ code }) => code === session.code)
  const others = same.filter(({ id }) => id !== session.id).map(({ id }) => id)
  return { hours, ended: recent.length, same_code: same.length, session_ids: others.slice(0, mostNamed) }
}

/** Medians of the stages of recent sessions that completed on machines of that origin. */
export async function usualDurations(db: Db, origin: MachineOrigin | null): Promise<Map<StageName, number>> {
  if (origin === null) return new Map()
  const recent = db
    .selectFrom('sessions')
    .select(['id', 'outcome', 'machine_origin'])
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(newest)
    .as('recent')
  const stages = await db
    .selectFrom('stages')
    .innerJoin(recent, 'recent.id', 'stages.session_id')
    .where('recent.outcome', '=', 'completed')
    .where('recent.machine_origin', '=', origin)
    .where('stages.ended_at', 'is not', null)
    .select(['stages.name', sql<number>`stages.ended_at - stages.started_at`.as('ms')])
    .execute()
  const byName = Map.groupBy(stages, ({ name }) => name)
  return new Map([...byName].map(([name, rows]) => [name, median(rows.map(({ ms }) => ms)) ?? 0]))
}

/** How many of the newest tell how long a machine is usually needed. */
export const enoughHolds = 100

/** How long the newest sessions that have ended had their machines. */
export async function recentHolds(db: Db): Promise<number[]> {
  const recent = db
    .selectFrom('sessions')
    .select(['id', 'ended_at'])
    .where('status', '=', 'ended')
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(enoughHolds)
    .as('recent')
  const holds = await db
    .selectFrom('stages')
    .innerJoin(recent, 'recent.id', 'stages.session_id')
    .where('stages.name', '=', 'network')
    .select(sql<number>`recent.ended_at - stages.started_at`.as('ms'))
    .execute()
  return holds.map(({ ms }) => ms)
}
