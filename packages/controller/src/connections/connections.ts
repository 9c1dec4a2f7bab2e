import { AppError, newId } from '@anteroom/base'
import { type Connection, captureSummary } from '@anteroom/contract'
import { type ExpressionBuilder, sql } from 'kysely'
import { decodeCursor, encodeCursor, type Row, type Store, type Tables, type Tx } from '../store/store.ts'

export interface ConnectionFilter {
  readonly provider?: string
  readonly subject?: string
  readonly cursor?: string
  readonly limit: number
}

/** Who is connected to what: subject × provider. Never values; those are the vault's. */
export interface Connections {
  /** The connection of this pair, made when it does not exist. */
  ensure(tx: Tx, provider: string, subject: string, now: number): Promise<string>
  /** @throws AppError not_found */
  get(id: string): Promise<Connection>
  /** Newest first. @throws AppError invalid_request (a cursor that is not `next_cursor` of a page before) */
  list(filter: ConnectionFilter): Promise<{ items: Connection[]; next_cursor: string | null }>
  /** Deletes the connection and every version of its credential. @throws AppError not_found */
  remove(id: string): Promise<void>
}

export const createConnections = ({ store }: { readonly store: Store }): Connections => ({
  ensure,
  async get(id) {
    const row = await select(store).where('id', '=', id).executeTakeFirst()
    if (!row) throw unknown(id)
    return toConnection(row)
  },
  async list({ provider, subject, cursor, limit }) {
    let query = select(store)
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit + 1)
    if (provider !== undefined) query = query.where('provider', '=', provider)
    if (subject !== undefined) query = query.where('subject', '=', subject)
    if (cursor !== undefined) {
      const { createdAt, id } = decodeCursor(cursor)
      query = query.where(sql<boolean>`(created_at, id) < (${createdAt}, ${id})`)
    }
    const rows = await query.execute()
    const page = rows.slice(0, limit)
    const last = rows.length > limit ? page.at(-1) : undefined
    return {
      items: page.map(toConnection),
      next_cursor: last ? encodeCursor({ createdAt: last.created_at, id: last.id }) : null,
    }
  },
  async remove(id) {
    // The credentials go with it: `on delete cascade`.
    const { numDeletedRows } = await store.db.deleteFrom('connections').where('id', '=', id).executeTakeFirstOrThrow()
    if (numDeletedRows === 0n) throw unknown(id)
  },
})

async function ensure(tx: Tx, provider: string, subject: string, now: number): Promise<string> {
  await tx
    .insertInto('connections')
    .values({ id: newId('connection'), provider, subject, created_at: now, updated_at: now, version: 0 })
    .onConflict((conflict) => conflict.columns(['provider', 'subject']).doNothing())
    .execute()
  const { id } = await tx
    .selectFrom('connections')
    .select('id')
    .where('provider', '=', provider)
    .where('subject', '=', subject)
    .executeTakeFirstOrThrow()
  return id
}

const select = ({ db }: Store) => db.selectFrom('connections').selectAll().select(hasCredential)

const hasCredential = (eb: ExpressionBuilder<Tables, 'connections'>) =>
  eb
    .exists(eb.selectFrom('credentials').select('credentials.id').whereRef('connection_id', '=', 'connections.id'))
    .as('has_credential')

const toConnection = (row: Row<'connections'> & { readonly has_credential: unknown }): Connection => ({
  id: row.id,
  provider: row.provider,
  subject: row.subject,
  status: row.version > 0 && row.has_credential ? 'authenticated' : 'needs_auth',
  version: row.version,
  captured: row.captured === null ? null : captureSummary.parse(JSON.parse(row.captured)),
  last_session_id: row.last_session_id,
  created_at: new Date(row.created_at).toISOString(),
  updated_at: new Date(row.updated_at).toISOString(),
})

const unknown = (id: string): AppError => new AppError('not_found', { detail: `There is no connection ${id}.` })
