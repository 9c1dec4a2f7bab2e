import { newId } from '@anteroom/base'
import {
  type ApiKeyWithSecret,
  type Connection,
  type CreatedSession,
  defaultProjectId,
  type Project,
  type Session,
} from '@anteroom/contract'
import { afterAll, expect, test } from 'vitest'
import { problemOf, startEdge } from './test/running-edge.ts'

const edge = await startEdge()
afterAll(() => edge.stop())

const by = (secret: string) => ({ authorization: `Bearer ${secret}` })
const json = async <T>(response: Promise<Response>): Promise<T> => (await (await response).json()) as T
const everyScopeButOperator = [
  'sessions:read',
  'sessions:write',
  'connections:read',
  'connections:write',
  'credentials:read',
] as const

/** A new project with a key, and what that key sees and does. */
async function newTenant() {
  const project = await json<Project>(edge.call('POST', '/v1/projects', { name: 'a customer' }))
  const asked = { name: 'theirs', scopes: everyScopeButOperator, project_id: project.id }
  const { secret } = await json<ApiKeyWithSecret>(edge.call('POST', '/v1/keys', asked))
  const call = (method: string, path: string, body?: unknown, headers = {}) =>
    edge.call(method, path, body, { ...by(secret), ...headers })
  const create = (subject: string, headers = {}) =>
    json<CreatedSession>(call('POST', '/v1/sessions', { provider: 'demo', subject }, headers))
  const idsOf = async (resource: 'sessions' | 'connections', query = ''): Promise<string[]> =>
    (await json<{ items: { id: string }[] }>(call('GET', `/v1/${resource}${query}`))).items.map(({ id }) => id)
  return { project, call, create, idsOf }
}

test('a project is made and seen; the first one is there', async () => {
  const made = await edge.call('POST', '/v1/projects', { name: ' a customer ' })
  const project = (await made.json()) as Project
  expect([made.status, made.headers.get('location')]).toEqual([201, `/v1/projects/${project.id}`])
  expect(project).toMatchObject({ name: 'a customer' })
  expect(await json(edge.call('GET', `/v1/projects/${project.id}`))).toEqual(project)
  const first = await json<{ items: Project[]; next_cursor: string }>(edge.call('GET', '/v1/projects?limit=1'))
  expect(first.items).toEqual([project])
  const rest = await json<{ items: Project[] }>(edge.call('GET', `/v1/projects?cursor=${first.next_cursor}`))
  expect(rest.items.at(-1)).toMatchObject({ id: defaultProjectId, name: 'default' })
  expect(await problemOf(await edge.call('GET', `/v1/projects/${newId('project')}`))).toMatchObject({
    code: 'not_found',
  })
  expect(await problemOf(await edge.call('POST', '/v1/projects', { name: 'a\u0007' }))).toMatchObject({
    fields: [{ pointer: '/name' }],
  })
})

test('the same subject in two projects has two connections, and each sees its own in every list', async () => {
  const [mine, other] = [await newTenant(), await newTenant()]
  const [a, b] = [await mine.create('ada'), await other.create('ada')]
  expect(a.connection_id).not.toBe(b.connection_id)
  expect([a.project_id, b.project_id]).toEqual([mine.project.id, other.project.id])
  for (const query of ['', '?subject=ada', '?provider=demo', '?provider=demo&subject=ada'])
    expect(await mine.idsOf('connections', query)).toEqual([a.connection_id])
  for (const query of ['', '?subject=ada', '?status=queued', '?status=queued&subject=ada&provider=demo'])
    expect(await mine.idsOf('sessions', query)).toEqual([a.id])
  // Asking for another's is no error, and gives nothing.
  expect(await mine.idsOf('sessions', `?project_id=${other.project.id}`)).toEqual([])
  expect(await mine.idsOf('connections', `?project_id=${other.project.id}`)).toEqual([])
})

test('a cursor of another’s list gives only what is one’s own', async () => {
  const [mine, other] = [await newTenant(), await newTenant()]
  const first = await mine.create('first')
  for (let n = 0; n < 3; n++) await other.create(`other ${n}`)
  const { next_cursor } = await json<{ next_cursor: string }>(other.call('GET', '/v1/sessions?limit=1'))
  expect(await mine.idsOf('sessions', `?cursor=${next_cursor}`)).toEqual([first.id])
})

test('an Idempotency-Key of another gives nothing of theirs', async () => {
  const [mine, other] = [await newTenant(), await newTenant()]
  const headers = { 'idempotency-key': 'order-1' }
  const [a, b] = [await mine.create('ada', headers), await other.create('ada', headers)]
  expect(a.id).not.toBe(b.id)
  expect((await mine.create('ada', headers)).id).toBe(a.id)
})

test('a session for the connection of another is refused as one for a connection that is not there', async () => {
  const [mine, other] = [await newTenant(), await newTenant()]
  const { connection_id } = await other.create('ada')
  const refusal = async (id: string) => {
    const asked = { provider: 'demo', subject: 'ada', connection_id: id }
    return { ...(await problemOf(await mine.call('POST', '/v1/sessions', asked))), request_id: '' }
  }
  expect(await refusal(connection_id ?? '')).toEqual(await refusal(newId('connection')))
  expect(await mine.idsOf('connections')).toEqual([])
})

test('the operator sees every project, and what they do stays in that of the connection', async () => {
  const tenant = await newTenant()
  const { id, connection_id } = await tenant.create('ada')
  const list = await json<{ items: Session[] }>(edge.call('GET', `/v1/sessions?project_id=${tenant.project.id}`))
  expect(list.items.map((session) => session.id)).toEqual([id])
  expect(await json(edge.call('GET', `/v1/connections/${connection_id}`))).toMatchObject({
    project_id: tenant.project.id,
  })
  const again = await json<CreatedSession>(edge.call('POST', `/v1/connections/${connection_id}/reauth`))
  expect(again).toMatchObject({ connection_id, project_id: tenant.project.id })
  expect((await tenant.idsOf('sessions')).toSorted()).toEqual([id, again.id].toSorted())
  const own = await json<Session>(edge.call('POST', '/v1/sessions', { provider: 'demo', subject: 'ada' }))
  expect(own.project_id).toBe(defaultProjectId)
  expect(await json<Connection>(edge.call('GET', `/v1/connections/${own.connection_id}`))).toMatchObject({
    project_id: defaultProjectId,
  })
})

test.each([
  ['of a project that is not there', { scopes: ['sessions:read'], project_id: newId('project') }, 'is not a project'],
  ['that is no id', { scopes: ['sessions:read'], project_id: 'acme' }, 'must look like prj_'],
  ['of one project that is the operator’s', { scopes: ['operator'], project_id: defaultProjectId }, 'must be left out'],
])('a key %s is refused, and the field is named', async (_what, asked, message) => {
  const answer = await problemOf(await edge.call('POST', '/v1/keys', { name: 'a', ...asked }))
  expect(answer).toMatchObject({ code: 'invalid_request', fields: [{ pointer: '/project_id' }] })
  expect(answer.fields?.[0]?.message).toContain(message)
})

test('a key that belongs to no project and is not the operator’s opens nothing', async () => {
  const secret = await edge.key('sessions:read')
  const mine = `key_${secret.split('_')[1]}`
  expect((await edge.call('GET', '/v1/sessions', undefined, by(secret))).status).toBe(200)
  await edge.store.db.updateTable('api_keys').set({ project_id: null }).where('id', '=', mine).execute()
  expect(await problemOf(await edge.call('GET', '/v1/sessions', undefined, by(secret)))).toMatchObject({
    code: 'unauthenticated',
  })
})
