import { createHash } from 'node:crypto'
import { AppError, newId, newToken } from '@anteroom/base'
import { type CreateSession, defaultProjectId, type Session } from '@anteroom/contract'
import { type Reach, type Tx, within } from '../store/store.ts'
import { firstLimits } from './limits.ts'
import { requirePlace } from './open-limits.ts'
import type { Queue } from './queue.ts'
import type { SessionDeps } from './session-deps.ts'
import type { SessionRow, SessionRows } from './session-rows.ts'

export interface CreateOptions {
  readonly principal: string
  readonly idempotencyKey?: string
}

type ReachedOptions = CreateOptions & { readonly reach: Reach }

/** Idempotency keys are remembered this long. */
const idempotencyMs = 24 * 3600 * 1000

const forgottenAtOnce = 50

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/**
 * Writes the row of a new session, and nothing else. A repeated Idempotency-Key gives the same session again with a fresh entry
 * secret, as long as nobody has entered by the old one (only its hash is known).
 */
export async function insertSession(
  deps: SessionDeps & { readonly queue: Queue },
  rows: Pick<SessionRows, 'resource'>,
  request: CreateSession,
  options: ReachedOptions,
): Promise<{ session: Session; secret: string }> {
  const definition = JSON.stringify(deps.providers.get(request.provider))
  await deps.images.current()
  const secret = newToken()
  const session = await deps.store.transaction(async (tx) => {
    const earlier = await findEarlier(deps, tx, request, options)
    if (earlier) return await rows.resource(tx, await renewEntry(deps, tx, earlier, sha256(secret)))
    const { principal } = options
    const project_id = await projectFor(tx, request, options.reach)
    await requirePlace(tx, { ...request, principal, project_id }, deps)
    const made = { principal, project_id, provider_definition: definition, entry_hash: sha256(secret) }
    const row = await insertRow(deps, tx, request, made)
    if (options.idempotencyKey !== undefined)
      await remember(tx, row, request, options.principal, options.idempotencyKey)
    // Read here, so that the answer does not stand in line behind what the commit sets going.
    return await rows.resource(tx, row)
  })
  return { session, secret }
}

async function projectFor(tx: Tx, { connection_id }: CreateSession, reach: Reach): Promise<string> {
  if (reach !== 'everything') {
    if ('projectId' in reach) return reach.projectId
    throw new AppError('not_found')
  }
  if (connection_id === undefined) return defaultProjectId
  const of = await tx.selectFrom('connections').select('project_id').where('id', '=', connection_id).executeTakeFirst()
  return of?.project_id ?? defaultProjectId
}

async function insertRow(
  deps: SessionDeps,
  tx: Tx,
  request: CreateSession,
  made: Pick<SessionRow, 'principal' | 'project_id' | 'provider_definition' | 'entry_hash'>,
): Promise<SessionRow> {
  const now = deps.clock.now()
  const { provider, subject } = request
  const { project_id: projectId } = made
  const connectionId = await deps.connections.ensure(tx, { projectId, provider, subject }, now)
  if (request.connection_id !== undefined && request.connection_id !== connectionId)
    throw new AppError('invalid_request', {
      fields: [{ pointer: '/connection_id', message: 'is not the connection of this provider and subject' }],
    })
  const inserted = await within(tx, { projectId })
    .insertInto('sessions')
    .values({
      ...made,
      id: newId('session'),
      version: 1,
      status: 'queued',
      provider,
      subject,
      connection_id: connectionId,
      return_url: request.return_url ?? null,
      capture_requested: 0,
      attempt: 0,
      not_before: 0,
      created_at: now,
      ...firstLimits(deps.config.timeouts, request, now),
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  await tx
    .insertInto('stages')
    .values({ session_id: inserted.id, name: 'queue', started_at: now, ended_at: null })
    .execute()
  await deps.events.append(tx, inserted.id, 'created', { provider, subject })
  await deps.audit.record(tx, {
    action: 'session.created',
    target: { kind: 'session', id: inserted.id },
    details: { provider, project: made.project_id, connection: connectionId },
  })
  return inserted
}

async function findEarlier(
  deps: SessionDeps,
  tx: Tx,
  request: CreateSession,
  options: ReachedOptions,
): Promise<SessionRow | undefined> {
  if (options.idempotencyKey === undefined) return undefined
  const oldest = deps.clock.now() - idempotencyMs
  await forgetSome(tx, oldest)
  const known = await tx
    .selectFrom('idempotency')
    .selectAll()
    .where('principal', '=', options.principal)
    .where('key', '=', options.idempotencyKey)
    .where('created_at', '>=', oldest)
    .executeTakeFirst()
  if (!known) return undefined
  if (known.request_hash !== sha256(JSON.stringify(request))) throw new AppError('idempotency_conflict')
  const { session_id } = known
  return await within(tx, options.reach)
    .selectFrom('sessions')
    .selectAll()
    .where('id', '=', session_id)
    .executeTakeFirst()
}

async function remember(
  tx: Tx,
  row: SessionRow,
  request: CreateSession,
  principal: string,
  key: string,
): Promise<void> {
  const entry = { request_hash: sha256(JSON.stringify(request)), session_id: row.id, created_at: row.created_at }
  await tx
    .insertInto('idempotency')
    .values({ principal, key, ...entry })
    // One that is too old and not forgotten yet.
    .onConflict((conflict) => conflict.columns(['principal', 'key']).doUpdateSet(entry))
    .execute()
}

/** A few at a time: the first request after a quiet day does not wait for all that the day before has left. */
async function forgetSome(tx: Tx, oldest: number): Promise<void> {
  await tx
    .deleteFrom('idempotency')
    .where(({ eb, refTuple, selectFrom }) =>
      eb(
        refTuple('principal', 'key'),
        'in',
        selectFrom('idempotency as old')
          .select(['old.principal', 'old.key'])
          .where('old.created_at', '<', oldest)
          .orderBy('old.created_at')
          .limit(forgottenAtOnce)
          .$asTuple('principal', 'key'),
      ),
    )
    .execute()
}

async function renewEntry({ audit }: SessionDeps, tx: Tx, row: SessionRow, entryHash: string): Promise<SessionRow> {
  if (row.entered_at !== null || row.status === 'ended') return row
  await tx.updateTable('sessions').set({ entry_hash: entryHash }).where('id', '=', row.id).execute()
  await audit.record(tx, { action: 'session.link_renewed', target: { kind: 'session', id: row.id } })
  return { ...row, entry_hash: entryHash }
}
