/** What every route is tried with: things of a project whose ids stand in addresses, and keys that must not open them. */
import { StatementSync } from 'node:sqlite'
import { newId, newToken } from '@anteroom/base'
import { defaultProjectId, keyScopes } from '@anteroom/contract'
import type { Edge } from './running-edge.ts'

/** Ids by the part of the address that says what it is: `/v1/<resource>/:id`. */
export type Ids = Readonly<Record<'sessions' | 'connections' | 'keys' | 'projects', string>>

export const keyIdOf = (secret: string): string => `key_${secret.split('_')[1]}`

/** One of each, made for this call: some calls end or delete what they are about. */
export async function newThings(edge: Edge, projectId = defaultProjectId): Promise<Ids> {
  const { id: sessions, connection_id } = await edge.newSession(projectId)
  const keys = keyIdOf(await edge.key('operator'))
  return { sessions, connections: connection_id ?? '', keys, projects: projectId }
}

/** Right in form, and of nothing. */
export const idsOfNothing = (): Ids => ({
  sessions: newId('session'),
  connections: newId('connection'),
  keys: newId('key'),
  projects: newId('project'),
})

/** The path of a route (`:id`) or of the description of the API (`{id}`), with an id. */
export function addressOf(path: string, ids: Ids): string {
  if (!/:id\b|\{id\}/.test(path)) return path
  const resource = path.split('/')[2] ?? ''
  const id = Object.hasOwn(ids, resource) ? ids[resource as keyof Ids] : undefined
  if (id === undefined) throw new Error(`nobody knows an id for ${path}: say in access-matrix.ts how one is made`)
  return path.replace(/:id\b|\{id\}/, id).replace(/:viewer_id\b|\{viewer_id\}/, `vwr_${'0'.repeat(24)}`)
}

/** A tenant may have all of these together. */
export const tenantScopes = keyScopes.filter((scope) => scope !== 'operator')

/** A new project, with a key that may do all that a project's key may. */
export async function newTenant(edge: Edge) {
  const { id } = await edge.access.projects.create({ name: 'a tenant' })
  return { projectId: id, key: await edge.keyOf(id, ...tenantScopes) }
}

/** Secrets that opened everything once, by why they do not any more. */
export async function overKeys(edge: Edge): Promise<Readonly<Record<string, string>>> {
  const set = (secret: string, change: object) =>
    edge.store.db.updateTable('api_keys').set(change).where('id', '=', keyIdOf(secret)).execute()
  const fresh = () => edge.key(...keyScopes)
  const [expired, revoked, deleted, rotated, overlapped] = [
    ...[await fresh(), await fresh(), await fresh(), await fresh(), await fresh()],
  ] as const
  const by = { kind: 'key', id: '', hash: '', scopes: keyScopes, projectId: null } as const
  await set(expired, { expires_at: Date.now() - 1 })
  await edge.access.keys.revoke(keyIdOf(revoked))
  await edge.store.db.deleteFrom('api_keys').where('id', '=', keyIdOf(deleted)).execute()
  for (const [secret, overlap_seconds] of [
    [rotated, 0],
    [overlapped, 60],
  ] as const)
    await edge.access.keys.rotate(keyIdOf(secret), { overlap_seconds }, by)
  await set(overlapped, { previous_expires_at: Date.now() - 1 })
  return { expired, revoked, deleted, 'rotated away': rotated, 'after its overlap': overlapped }
}

/** Right in form, near a right one, or no key at all. */
export function forgedKeys(right: string): Readonly<Record<string, string>> {
  const [head, secret = ''] = [right.slice(0, 29), right.slice(29)]
  const other = (at: number): string => `${secret.slice(0, at)}${secret[at] === 'a' ? 'b' : 'a'}${secret.slice(at + 1)}`
  return {
    'of a random id': `ark_${newId('key').slice(4)}_${newToken()}`,
    'of a right id with a random secret': `${head}${newToken()}`,
    'with its first character changed': `${head}${other(0)}`,
    'with its last character changed': `${head}${other(secret.length - 1)}`,
    'cut short': right.slice(0, -1),
    'with one character more': `${right}a`,
    'in other letters': right.toUpperCase(),
    'that is only an id': keyIdOf(right),
    'that is a wildcard': '%',
    'that is SQL': `ark_${"'or'1'='1'--".padEnd(24, 'a')}_${newToken()}`,
  }
}

export interface Compared {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
}

const ofTheMoment: ReadonlySet<string> = new Set(['date', 'x-request-id'])

/** Whatever a client can compare of two answers, but for the id and the moment of the request. */
export async function comparable(answer: Response): Promise<Compared> {
  const headers = [...answer.headers].filter(([name]) => !ofTheMoment.has(name)).toSorted()
  return { status: answer.status, headers, body: (await bodyOf(answer)).replaceAll(/req_[a-z2-7]{24}/g, 'req_') }
}

/** Of an answer that would never end, that it began. */
export async function bodyOf(answer: Response): Promise<string> {
  if (!answer.headers.get('content-type')?.startsWith('text/event-stream')) return await answer.text()
  await answer.body?.cancel()
  return 'a stream of events'
}

/** Every statement that the database of this process runs meanwhile: work that takes the same time is the same work. */
export async function statementsOf<T>(work: () => Promise<T>): Promise<{ result: T; statements: string[] }> {
  const statements: string[] = []
  const { all, run } = StatementSync.prototype
  StatementSync.prototype.all = function (this: StatementSync, ...values: Parameters<typeof all>) {
    statements.push(this.sourceSQL)
    return all.apply(this, values)
  } as typeof all
  StatementSync.prototype.run = function (this: StatementSync, ...values: Parameters<typeof run>) {
    statements.push(this.sourceSQL)
    return run.apply(this, values)
  } as typeof run
  try {
    return { result: await work(), statements }
  } finally {
    Object.assign(StatementSync.prototype, { all, run })
  }
}
