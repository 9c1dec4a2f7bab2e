import { AppError, newId } from '@anteroom/base'
import { type Connection, captureSummary } from '@anteroom/contract'
import type { ExpressionBuilder } from 'kysely'
import type { Audit } from '../audit/audit.ts'
import {
  type Db,
  newestFirst,
  pageOf,
  type Reach,
  type Row,
  type Store,
  type Tables,
  type Tx,
  within,
} from '../store/store.ts'
import type { Vault } from '../vault/vault.ts'

export interface ConnectionFilter {
  readonly project_id?: string
  readonly provider?: string
  readonly subject?: string
  readonly cursor?: string
  readonly limit: number
}

/** What a connection is of. The same subject in two projects is two people. */
export interface ConnectionOf {
  readonly projectId: string
  readonly provider: string
  readonly subject: string
}

/** Those within somebody's reach. */
export interface ReachedConnections {
  /** @throws AppError not_found */
  get(id: string): Promise<Connection>
  /** Newest first. @throws AppError invalid_request (a cursor that is not `next_cursor` of a page before) */
  list(filter: ConnectionFilter): Promise<{ items: Connection[]; next_cursor: string | null }>
  /** Deletes the connection and every version of its credential. @throws AppError not_found */
  remove(id: string): Promise<void>
}

/** Who is connected to what: subject × provider. Never values; those are the vault's. By itself it reaches all. */
export interface Connections extends ReachedConnections {
  of(reach: Reach): ReachedConnections
  /** The connection of these, made when it does not exist. */
  ensure(tx: Tx, of: ConnectionOf, now: number): Promise<string>
}

export interface ConnectionsParts {
  readonly store: Store
  readonly audit: Pick<Audit, 'record'>
  /** Whose data keys go before a connection does. */
  readonly vault: Pick<Vault, 'destroy'>
}

export const createConnections = (parts: ConnectionsParts): Connections => {
  const of = (reach: Reach): ReachedConnections => ({
    ...reached(within(parts.store.db, reach)),
    remove: (id) => remove(parts, reach, id),
  })
  return { of, ensure, ...of('everything') }
}

const reached = (db: Db): Omit<ReachedConnections, 'remove'> => ({
  async get(id) {
    const row = await select(db).where('id', '=', id).executeTakeFirst()
    if (!row) throw unknown(id)
    return toConnection(row)
  },
  async list({ project_id, provider, subject, ...page }) {
    let query = select(db)
    if (project_id !== undefined) query = query.where('project_id', '=', project_id)
    if (provider !== undefined) query = query.where('provider', '=', provider)
    if (subject !== undefined) query = query.where('subject', '=', subject)
    return pageOf(await newestFirst(query, page).execute(), page, toConnection)
  },
})

async function remove({ vault, audit }: ConnectionsParts, reach: Reach, id: string): Promise<void> {
  await vault.destroy(reach, id, async (tx) => {
    const deleted = await within(tx, reach)
      .deleteFrom('connections')
      .where('id', '=', id)
      .returning(['provider', 'version'])
      .executeTakeFirst()
    if (!deleted) throw unknown(id)
    await audit.record(tx, { action: 'connection.deleted', target: { kind: 'connection', id }, details: deleted })
  })
}

async function ensure(
  tx: Tx,
  { projectId: project_id, provider, subject }: ConnectionOf,
  now: number,
): Promise<string> {
  const own = within(tx, { projectId: project_id })
  await own
    .insertInto('connections')
    .values({ id: newId('connection'), project_id, provider, subject, created_at: now, updated_at: now, version: 0 })
    .onConflict((conflict) => conflict.columns(['project_id', 'provider', 'subject']).doNothing())
    .execute()
  const { id } = await own
    .selectFrom('connections')
    .select('id')
    .where('provider', '=', provider)
    .where('subject', '=', subject)
    .executeTakeFirstOrThrow()
  return id
}

const select = (db: Db) => db.selectFrom('connections').selectAll().select(hasCredential)

const hasCredential = (eb: ExpressionBuilder<Tables, 'connections'>) =>
  eb
    .exists(eb.selectFrom('credentials').select('credentials.id').whereRef('connection_id', '=', 'connections.id'))
    .as('has_credential')

const toConnection = (row: Row<'connections'> & { readonly has_credential: unknown }): Connection => ({
  id: row.id,
  project_id: row.project_id,
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
