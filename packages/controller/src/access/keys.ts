import { AppError, type Clock, newId, type Secret } from '@anteroom/base'
import {
  type ApiKey,
  type CreateKey,
  defaultProjectId,
  type KeyScope,
  keyScopes,
  type RotateKey,
} from '@anteroom/contract'
import type { Audit } from '../audit/audit.ts'
import { type Db, newestFirst, type PageQuery, pageOf, type Store, type Tx } from '../store/store.ts'
import type { Principal } from './access.ts'
import { type KeyRow, keyValues, newSecret, scopesOf } from './api-keys.ts'
import type { KeyHolds } from './key-holds.ts'

/** A key with the secret that nobody can be told again. */
export interface NewSecret {
  readonly key: ApiKey
  readonly secret: Secret<string>
}

/** API keys, as whoever has the scope `operator` manages them. `by` is who asks: nobody gives a scope that they do not have. */
export interface Keys {
  /** Newest first, those that do not open anything any more among them. @throws AppError invalid_request (the cursor) */
  list(page: PageQuery): Promise<{ items: ApiKey[]; next_cursor: string | null }>
  /** @throws AppError not_found */
  get(id: string): Promise<ApiKey>
  /** As its maker named it; null for the key in the operator's file, which nobody named, and for one that is none. */
  nameOf(id: string): Promise<string | null>
  /** @throws AppError forbidden, invalid_request (the project) */
  create(asked: CreateKey, by: Principal): Promise<NewSecret>
  /** The key gets another secret; the one that it had opens as well for `overlap_seconds`. @throws AppError not_found, forbidden, key_unchangeable */
  rotate(id: string, asked: RotateKey, by: Principal): Promise<NewSecret>
  /** From the answer on it opens nothing, and what it has open is closed. May be repeated. @throws AppError not_found, key_unchangeable */
  revoke(id: string): Promise<void>
}

interface KeysParts {
  readonly store: Store
  readonly clock: Clock
  readonly audit: Pick<Audit, 'record'>
}

export function createKeys({ store, clock, audit }: KeysParts, holds: KeyHolds): Keys {
  const resource = (row: KeyRow): ApiKey => toResource(row, clock.now())

  async function load(db: Db, id: string): Promise<KeyRow> {
    const row = await db.selectFrom('api_keys').selectAll().where('id', '=', id).executeTakeFirst()
    if (!row) throw new AppError('not_found', { detail: `There is no key ${id}.` })
    return row
  }

  async function change(tx: Tx, id: string, to: Partial<KeyRow>): Promise<KeyRow> {
    return await tx.updateTable('api_keys').set(to).where('id', '=', id).returningAll().executeTakeFirstOrThrow()
  }

  return {
    async list(page) {
      const rows = await newestFirst(store.db.selectFrom('api_keys').selectAll(), page).execute()
      return pageOf(rows, page, resource)
    },

    get: async (id) => resource(await load(store.db, id)),

    async nameOf(id) {
      const named = store.db.selectFrom('api_keys').select('name').where('id', '=', id).where('in_file', '=', 0)
      return (await named.executeTakeFirst())?.name ?? null
    },

    async create({ name, scopes, project_id, expires_in_seconds }, by) {
      requireScopesOf(by, scopes)
      const project = await projectFor(store.db, scopes, project_id)
      const id = newId('key')
      const now = clock.now()
      const { secret, hash } = newSecret(id)
      const expires_at = expires_in_seconds === undefined ? null : now + expires_in_seconds * 1000
      const row = await store.transaction(async (tx) => {
        const made = await tx
          .insertInto('api_keys')
          .values(keyValues({ id, project_id: project, name, hash, scopes, created_at: now, expires_at }))
          .returningAll()
          .executeTakeFirstOrThrow()
        const details = { project, scopes: scopesOf(made).join(' '), expires_at: timeOrNull(expires_at) }
        await audit.record(tx, { action: 'key.created', target: { kind: 'key', id }, details })
        return made
      })
      return { key: resource(row), secret }
    },

    async rotate(id, { overlap_seconds, expires_in_seconds }, by) {
      const { secret, hash } = newSecret(id)
      const row = await store.transaction(async (tx) => {
        const before = await load(tx, id)
        requireChangeable(before, clock.now())
        requireScopesOf(by, scopesOf(before))
        const now = clock.now()
        const overlaps = overlap_seconds > 0
        await audit.record(tx, { action: 'key.rotated', target: { kind: 'key', id }, details: { overlap_seconds } })
        const until = Math.min(now + overlap_seconds * 1000, before.expires_at ?? Number.POSITIVE_INFINITY)
        return await change(tx, id, {
          ...{ hash, rotated_at: now },
          // The one before that ends now: a key has two secrets at the most.
          ...{ previous_hash: overlaps ? before.hash : null, previous_expires_at: overlaps ? until : null },
          ...(expires_in_seconds !== undefined && { expires_at: now + expires_in_seconds * 1000 }),
        })
      })
      holds.changed(id)
      return { key: resource(row), secret }
    },

    async revoke(id) {
      await store.transaction(async (tx) => {
        const row = await load(tx, id)
        if (row.in_file === 1) throw unchangeable("It is the operator's, in operator.key.")
        if (row.revoked_at !== null) return
        await change(tx, id, { revoked_at: clock.now() })
        await audit.record(tx, { action: 'key.revoked', target: { kind: 'key', id } })
      })
      holds.changed(id)
    },
  }
}

/** null: every project, which goes with the scope `operator` and with nothing less. */
async function projectFor(db: Db, scopes: readonly KeyScope[], asked: string | undefined): Promise<string | null> {
  if (!scopes.includes('operator')) {
    const id = asked ?? defaultProjectId
    const project = await db.selectFrom('projects').select('id').where('id', '=', id).executeTakeFirst()
    if (project) return id
    throw new AppError('invalid_request', { fields: [{ pointer: '/project_id', message: 'is not a project' }] })
  }
  if (asked === undefined) return null
  const message = 'must be left out: a key with the scope operator sees every project'
  throw new AppError('invalid_request', { fields: [{ pointer: '/project_id', message }] })
}

const unchangeable = (detail: string): AppError => new AppError('key_unchangeable', { detail })

function requireChangeable(row: KeyRow, now: number): void {
  if (row.in_file === 1) throw unchangeable("It is the operator's, in operator.key.")
  const status = statusOf(row, now)
  if (status !== 'active') throw unchangeable(`It is ${status}.`)
}

/** A secret that somebody is given opens nothing that they could not open before. */
function requireScopesOf(by: Principal, scopes: readonly KeyScope[]): void {
  const own = grantable(by)
  const missing = scopes.filter((scope) => !own.includes(scope))
  if (missing.length === 0) return
  throw new AppError('forbidden', {
    detail: `Whoever gives a key needs its scopes: ${missing.join(', ')} is missing${by.kind === 'operator' ? ' in the dashboard. Use the key in operator.key' : ''}.`,
  })
}

function grantable(by: Principal): readonly KeyScope[] {
  switch (by.kind) {
    case 'key':
      return by.scopes
    case 'operator':
      // As for reading one: nothing that a page can do by itself.
      return keyScopes.filter((scope) => scope !== 'credentials:read')
    case 'visitor':
      return []
    default:
      return by satisfies never
  }
}

function statusOf(row: KeyRow, now: number): ApiKey['status'] {
  if (row.revoked_at !== null) return 'revoked'
  return row.expires_at !== null && row.expires_at <= now ? 'expired' : 'active'
}

const timeOrNull = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())

function toResource(row: KeyRow, now: number): ApiKey {
  const status = statusOf(row, now)
  const overlaps = status === 'active' && row.previous_expires_at !== null && row.previous_expires_at > now
  return {
    id: row.id,
    name: row.name,
    project_id: row.project_id,
    scopes: scopesOf(row),
    status,
    in_file: row.in_file === 1,
    created_at: new Date(row.created_at).toISOString(),
    expires_at: timeOrNull(row.expires_at),
    revoked_at: timeOrNull(row.revoked_at),
    rotated_at: timeOrNull(row.rotated_at),
    previous_expires_at: overlaps ? timeOrNull(row.previous_expires_at) : null,
    last_used_at: timeOrNull(row.last_used_at),
  }
}
