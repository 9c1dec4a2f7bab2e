import { AppError } from '@anteroom/base'
import type { Session } from '@anteroom/contract'
import { sql } from 'kysely'
import { type Db, notEnded } from '../store/store.ts'
import type { SessionRows } from './session-rows.ts'
import type { SessionFilter } from './sessions.ts'

/** Newest first; the cursor is the last row's place, so that new sessions do not move the pages. */
export async function listSessions(
  db: Db,
  rows: SessionRows,
  filter: SessionFilter,
): Promise<{ items: Session[]; next_cursor: string | null }> {
  let query = db
    .selectFrom('sessions')
    .selectAll()
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(filter.limit + 1)
  if (filter.project_id !== undefined) query = query.where('project_id', '=', filter.project_id)
  const isOfFew = filter.status !== undefined && filter.status !== 'ended'
  if (filter.status !== undefined) query = query.where('status', '=', filter.status)
  if (isOfFew) query = query.where(notEnded)
  // As an expression, of which there is no index: among few, SQLite would take the million of a provider for the shorter way.
  const column = (name: 'provider' | 'subject') =>
    isOfFew ? sql<string>`${sql.ref(name)} || ''` : sql.ref<string>(name)
  if (filter.provider !== undefined) query = query.where(column('provider'), '=', filter.provider)
  if (filter.subject !== undefined) query = query.where(column('subject'), '=', filter.subject)
  if (filter.cursor !== undefined) {
    const after = decodeCursor(filter.cursor)
    // As one comparison of two pairs: of an `or` SQLite would read everything before the page.
    query = query.where(({ eb, refTuple, tuple }) => eb(refTuple('created_at', 'id'), '<', tuple(after.at, after.id)))
  }
  const found = await query.execute()
  const page = found.slice(0, filter.limit)
  const last = page.at(-1)
  return {
    items: await rows.resources(db, page),
    next_cursor: found.length > page.length && last ? encodeCursor({ at: last.created_at, id: last.id }) : null,
  }
}

interface Place {
  readonly at: number
  readonly id: string
}

const encodeCursor = ({ at, id }: Place): string => Buffer.from(`${at} ${id}`).toString('base64url')

function decodeCursor(cursor: string): Place {
  const [, at, id] = /^(\d{1,15}) (ses_[a-z2-7]{24})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  if (at === undefined || id === undefined)
    throw new AppError('invalid_request', {
      fields: [{ pointer: 'cursor', message: 'is not a cursor that this API gave' }],
    })
  return { at: Number(at), id }
}
