import { setImmediate } from 'node:timers/promises'
import { type AuditAction, type AuditEntry, auditActorKinds } from '@anteroom/contract'
import type { Db } from '../store/store.ts'
import { entryOf } from './entry.ts'

export interface AuditFilter {
  /** A kind of actor, or the id of one. */
  readonly actor?: string
  readonly action?: AuditAction
  /** The id of what it was done to. */
  readonly target?: string
  readonly since?: string
  readonly until?: string
  /** `next_cursor` of the page before. */
  readonly cursor?: string
  readonly limit: number
}

export interface AuditPage {
  readonly items: AuditEntry[]
  readonly next_cursor: string | null
}

/** Looked through without a pause, whatever the filter: about ten milliseconds. */
const windowSize = 20_000

/** Newest first. What is rare is looked for in as many steps as it takes, between which others are served. */
export async function listEntries(db: Db, filter: AuditFilter): Promise<AuditPage> {
  const items: AuditEntry[] = []
  const end = (await newestSeq(db)) + 1
  // Nobody was given a cursor beyond the end: there would be nothing to find, for as long as it takes.
  let before = Math.min(Number(filter.cursor ?? end), end)
  while (before > 1 && items.length <= filter.limit) {
    const from = Math.max(1, before - windowSize)
    const rows = await matching(db, filter)
      .where('seq', '>=', from)
      .where('seq', '<', before)
      .orderBy('seq', 'desc')
      .limit(filter.limit + 1 - items.length)
      .execute()
    items.push(...rows.map(entryOf))
    before = from
    await setImmediate()
  }
  const page = items.slice(0, filter.limit)
  return { items: page, next_cursor: items.length > filter.limit ? String(page.at(-1)?.seq) : null }
}

async function newestSeq(db: Db): Promise<number> {
  const newest = await db.selectFrom('audit').select('seq').orderBy('seq', 'desc').limit(1).executeTakeFirst()
  return newest?.seq ?? 0
}

function matching(db: Db, { actor, action, target, since, until }: AuditFilter) {
  let query = db.selectFrom('audit').selectAll()
  const kind = auditActorKinds.find((known) => known === actor)
  if (kind !== undefined) query = query.where('actor_kind', '=', kind)
  else if (actor !== undefined) query = query.where('actor_id', '=', actor)
  if (action !== undefined) query = query.where('action', '=', action)
  if (target !== undefined) query = query.where('target_id', '=', target)
  if (since !== undefined) query = query.where('at', '>=', Date.parse(since))
  if (until !== undefined) query = query.where('at', '<', Date.parse(until))
  return query
}
