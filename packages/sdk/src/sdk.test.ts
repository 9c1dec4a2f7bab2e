import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { newId } from '@anteroom/base'
import { afterAll, describe, expect, test } from 'vitest'
import { type Edge, startEdge } from '../../controller/src/http/test/running-edge.ts'
import { Anteroom, AnteroomError, type SessionEvent } from './sdk.ts'

const edge = await startEdge()
afterAll(() => edge.stop())

const anteroom = new Anteroom({ url: edge.url, key: edge.operatorKey })
const create = () => anteroom.sessions.create({ provider: 'demo', subject: newId('event') })

/** As the reconciler would leave it when the vault has confirmed. */
async function complete({ store, events }: Edge, id: string): Promise<void> {
  await store.transaction(async (tx) => {
    const ended = { status: 'ended', outcome: 'completed', ended_at: Date.now() } as const
    await tx.updateTable('sessions').set(ended).where('id', '=', id).execute()
    await events.append(tx, id, 'status', { status: 'ended', outcome: 'completed' })
  })
  events.notify(id)
}

const errorOf = async (promise: Promise<unknown>): Promise<AnteroomError> => {
  const error = await promise.catch((thrown: unknown) => thrown)
  if (error instanceof AnteroomError) return error
  throw new Error('it did not end in an AnteroomError', { cause: error })
}

describe('sessions', () => {
  test('from creation to the credential', async () => {
    const created = await create()
    expect(created.hosted_url).toContain(`/connect/${created.id}#entry=`)
    expect(await anteroom.sessions.get(created.id)).toMatchObject({ id: created.id, status: 'queued' })
    expect((await anteroom.sessions.list({ subject: created.subject })).items).toHaveLength(1)
    await edge.fillVault(created, 'handed-over')
    const ended = anteroom.sessions.untilEnded(created.id)
    await complete(edge, created.id)
    expect(await ended).toMatchObject({ outcome: 'completed' })
    const connection = created.connection_id ?? ''
    expect(await anteroom.connections.get(connection)).toMatchObject({ status: 'authenticated', version: 1 })
    const { value } = await anteroom.connections.credential(connection)
    expect(value).toMatchObject({ kind: 'oauth2', access_token: 'handed-over' })
    expect(await anteroom.connections.reauth(connection)).toMatchObject({ connection_id: connection })
    await anteroom.connections.delete(connection)
    expect((await anteroom.connections.list({ subject: created.subject })).items).toEqual([])
  })

  test('are extended and cancelled, and give tickets once there is a screen', async () => {
    const { id, expires_at } = await create()
    expect((await errorOf(anteroom.sessions.ticket(id))).code).toBe('session_not_ready')
    await edge.makeReady(id, { ip: '127.0.0.1', port: 1, password: '' })
    expect(await anteroom.sessions.ticket(id, { access: 'view', ttlSeconds: 5 })).toMatchObject({ access: 'view' })
    await anteroom.sessions.revokeTickets(id)
    const extended = await anteroom.sessions.extend(id)
    expect(Date.parse(extended.expires_at)).toBeGreaterThan(Date.parse(expires_at))
    expect((await anteroom.sessions.extend(id, { idleOnly: true })).expires_at).toBe(extended.expires_at)
    await anteroom.sessions.capture(id)
    expect(await anteroom.sessions.cancel(id)).toMatchObject({ id })
  })

  test('have events, all or those behind one', async () => {
    const { id } = await create()
    await edge.makeReady(id, { ip: '127.0.0.1', port: 1, password: '' })
    const first: SessionEvent[] = []
    for await (const event of anteroom.sessions.events(id)) {
      first.push(event)
      if (event.data.status === 'ready') break
    }
    expect(first[0]).toMatchObject({ type: 'created', session_id: id })
    await complete(edge, id)
    const behind: SessionEvent[] = []
    for await (const event of anteroom.sessions.events(id, { after: first.at(-1)?.seq ?? 0 })) behind.push(event)
    expect(behind.map(({ data }) => data.status)).toEqual(['ended'])
  })
})

test('what the operator asks', async () => {
  expect((await anteroom.providers()).items[0]).toMatchObject({ name: 'demo' })
  expect(await anteroom.machines()).toEqual(expect.any(Array))
  expect(await anteroom.images()).toEqual([])
  expect(await anteroom.pool()).toMatchObject({ size: 'auto' })
  expect(await anteroom.doctor()).toMatchObject({ verdict: 'ok' })
  expect(await anteroom.doctor({ fix: true })).toMatchObject({ verdict: 'ok' })
})

test('keys are made, rotated and revoked', async () => {
  const made = await anteroom.keys.create({ name: 'worker', scopes: ['operator'], expires_in_seconds: 600 })
  const own = (secret: string) => new Anteroom({ url: edge.url, key: secret }).keys
  expect(await own(made.secret).get(made.id)).toMatchObject({ name: 'worker', status: 'active' })
  const rotated = await anteroom.keys.rotate(made.id, { overlapSeconds: 60, expiresInSeconds: 6000 })
  expect(rotated.previous_expires_at).not.toBeNull()
  const last = await anteroom.keys.rotate(made.id)
  expect((await errorOf(own(made.secret).list())).code).toBe('unauthenticated')
  expect((await own(last.secret).list({ limit: 1 })).items).toMatchObject([{ id: made.id }])
  await anteroom.keys.revoke(made.id)
  expect((await errorOf(anteroom.keys.rotate(made.id))).code).toBe('key_unchangeable')
})

test('projects are made, and their keys see what is theirs', async () => {
  const { id } = await anteroom.projects.create({ name: 'a customer' })
  expect(await anteroom.projects.get(id)).toMatchObject({ id, name: 'a customer' })
  expect((await anteroom.projects.list({ limit: 1 })).items).toHaveLength(1)
  const scopes = ['sessions:read', 'sessions:write'] as ['sessions:read', 'sessions:write']
  const { secret, project_id } = await anteroom.keys.create({ name: 'theirs', scopes, project_id: id })
  expect(project_id).toBe(id)
  const theirs = new Anteroom({ url: edge.url, key: secret })
  expect((await theirs.sessions.list()).items).toEqual([])
  const session = await theirs.sessions.create({ provider: 'demo', subject: 'ada' })
  expect(session.project_id).toBe(id)
  expect((await anteroom.sessions.list({ project_id: id })).items.map((one) => one.id)).toEqual([session.id])
})

describe('errors', () => {
  test('have the code, the fields and the request of the problem', async () => {
    const error = await errorOf(anteroom.sessions.create({ provider: 'demo', subject: '' }))
    expect(error).toMatchObject({ code: 'invalid_request', status: 400, retryable: false })
    expect(error.fields.map(({ pointer }) => pointer)).toContain('/subject')
    expect(error.message).toMatch(/^Invalid request: \/subject /)
    expect(error.requestId).toEqual(expect.stringMatching(/^\S+$/))
    expect(error.hint).not.toBe('')
    expect(error.person).not.toBe('')
  })

  test('of a wrong key', async () => {
    const stranger = new Anteroom({ url: edge.url, key: 'ark_nobody' })
    expect((await errorOf(stranger.machines())).code).toBe('unauthenticated')
  })
})

test('the example of the README runs as it stands there, with the package that is built', {
  timeout: 60_000,
}, async () => {
  const readme = await readFile(join(import.meta.dirname, '../README.md'), 'utf8')
  const [, example = ''] = /```js\n(.*?)```/s.exec(readme) ?? []
  const directory = await mkdtemp(join(tmpdir(), 'anteroom-sdk-'))
  const modules = join(directory, 'node_modules')
  const run = promisify(execFile)
  try {
    await run(process.execPath, [join(import.meta.dirname, '../build.mjs'), join(modules, '@anteroom/sdk')])
    const dependency = dirname(dirname(fileURLToPath(import.meta.resolve('openapi-fetch'))))
    await symlink(dependency, join(modules, 'openapi-fetch'))
    await writeFile(join(directory, 'example.mjs'), example)
    const env = { ...process.env, ANTEROOM_URL: edge.url, ANTEROOM_KEY: edge.operatorKey }
    const ran = run(process.execPath, [join(directory, 'example.mjs')], { env })
    const session = await newestOf('user-1')
    await edge.fillVault(session, 'handed-over')
    await complete(edge, session.id)
    const { stdout } = await ran
    expect(stdout).toMatch(/^Send the person to http.*\nThey handed over oauth2\n$/)
  } finally {
    await rm(directory, { recursive: true })
  }
})

const newestOf = (subject: string) =>
  expect
    .poll(async () => (await anteroom.sessions.list({ subject })).items[0], { timeout: 10_000 })
    .toBeDefined()
    .then(async () => {
      const [session] = (await anteroom.sessions.list({ subject })).items
      if (!session) throw new Error('it has not been created')
      return session
    })
