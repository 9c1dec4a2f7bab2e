import { newId } from '@anteroom/base'
import type { CreatedSession, Session } from '@anteroom/contract'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { problemOf, startEdge } from './test/running-edge.ts'

const edge = await startEdge()
afterAll(() => edge.stop())

const json = async <T>(response: Promise<Response>): Promise<T> => (await (await response).json()) as T

describe('sessions', () => {
  test('are created with a place to send the person to', async () => {
    const response = await edge.call('POST', '/v1/sessions', { provider: 'demo', subject: 'ada' })
    const created = (await response.json()) as CreatedSession
    expect(response.status).toBe(201)
    expect(response.headers.get('location')).toBe(`/v1/sessions/${created.id}`)
    expect(created).toMatchObject({ provider: 'demo', subject: 'ada', status: 'queued', browser_vm_id: null })
    expect(created.hosted_url).toMatch(new RegExp(`^${edge.url}/connect/${created.id}#entry=.{43}$`))
    const { hosted_url: _, ...shown } = created
    expect(await json(edge.call('GET', `/v1/sessions/${created.id}`))).toEqual(shown)
  })

  test('are created once for an Idempotency-Key, and only for the same request', async () => {
    const key = { authorization: `Bearer ${edge.operatorKey}`, 'idempotency-key': newId('event') }
    const create = (subject: string) => edge.call('POST', '/v1/sessions', { provider: 'demo', subject }, key)
    const [first, again] = [await json<Session>(create('grace')), await json<Session>(create('grace'))]
    expect(again.id).toBe(first.id)
    expect(await problemOf(await create('alan'))).toMatchObject({ status: 409, code: 'idempotency_conflict' })
  })

  test('are listed page by page', async () => {
    const subject = newId('event')
    for (let i = 0; i < 3; i++) await edge.sessions.create({ provider: 'demo', subject }, { principal: 'test' })
    const ids: string[] = []
    for (let cursor = ''; ; ) {
      const page = await json<{ items: Session[]; next_cursor: string | null }>(
        edge.call('GET', `/v1/sessions?subject=${subject}&limit=2${cursor && `&cursor=${cursor}`}`),
      )
      ids.push(...page.items.map(({ id }) => id))
      if (page.next_cursor === null) break
      cursor = encodeURIComponent(page.next_cursor)
    }
    expect(new Set(ids).size).toBe(3)
  })

  test('of one subject are refused when too many are open, with the seconds to wait', async () => {
    const strict = await startEdge({ maxPerSubject: 2 })
    onTestFinished(strict.stop)
    const create = () => strict.call('POST', '/v1/sessions', { provider: 'demo', subject: 'comes too often' })
    expect([(await create()).status, (await create()).status]).toEqual([201, 201])
    const refused = await create()
    expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
    expect(await problemOf(refused)).toMatchObject({ status: 429, code: 'subject_limit_reached' })
  })

  test('are asked to end, again and again', async () => {
    const { id } = await edge.newSession()
    const cancel = () => edge.call('POST', `/v1/sessions/${id}/cancel`)
    expect([(await cancel()).status, (await cancel()).status]).toEqual([200, 200])
    const row = await edge.store.db.selectFrom('sessions').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    expect(row.end_requested).toBe('cancelled')
  })

  test('are captured only when there is something to capture', async () => {
    const { id } = await edge.newSession()
    expect(await problemOf(await edge.call('POST', `/v1/sessions/${id}/capture`))).toMatchObject({
      status: 409,
      code: 'session_not_ready',
    })
  })
})

describe('the hosted page', () => {
  test('is entered once, and its cookie shows that session', async () => {
    const session = await edge.newSession()
    const enter = () =>
      edge.call('POST', `/v1/sessions/${session.id}/entry`, { secret: session.secret }, { nobody: '' })
    const response = await enter()
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ end: null })
    const cookie = response.headers.get('set-cookie') ?? ''
    expect(cookie).toMatch(
      new RegExp(`^anteroom_visit_${session.id}=[^;]+; Path=/; Expires=[^;]+; HttpOnly; SameSite=Strict$`),
    )
    const visit = { cookie: cookie.split(';')[0] ?? '' }
    expect(await json(edge.call('GET', `/v1/sessions/${session.id}/page`, undefined, visit))).toMatchObject({
      session: { id: session.id, status: 'queued' },
      provider: { name: 'demo', title: 'Demo identity' },
      server_time: expect.stringMatching(/Z$/),
    })
    expect(await problemOf(await enter())).toMatchObject({ status: 403, code: 'entry_invalid' })
  })

  test('tells why the session failed in words, and keeps what the console said for the operator', async () => {
    const created = await edge.newSession()
    const cookie = await edge.visitorOf(created)
    const failure = {
      code: 'vmm_exited',
      stage: 'boot',
      message: 'It stopped.',
      hint: 'Read it.',
      detail: 'console: secrets',
    }
    await edge.store.db
      .updateTable('sessions')
      .set({ status: 'ending', outcome: 'failed', failure: JSON.stringify(failure) })
      .where('id', '=', created.id)
      .execute()
    const get = async (path: string, headers: Record<string, string>) =>
      (await fetch(`${edge.url}/v1/sessions/${created.id}${path}`, { headers })).json()
    const quiet = expect.objectContaining({ code: 'vmm_exited', message: 'It stopped.', detail: null })
    expect(await get('/page', { cookie })).toMatchObject({ session: { failure: quiet } })
    expect(await get('', { cookie })).toMatchObject({ failure: quiet })
    const operator = await get('', { authorization: `Bearer ${edge.operatorKey}` })
    expect(operator).toMatchObject({ failure: { detail: 'console: secrets' } })
  })

  test('after the end, for whoever never came, says how it ended and lets nobody in', async () => {
    const { id, secret } = await edge.newSession()
    const failure = { code: 'vmm_exited', stage: 'boot', message: 'It stopped.', hint: 'Read it.', detail: 'secrets' }
    await edge.store.db
      .updateTable('sessions')
      .set({ status: 'ended', outcome: 'failed', failure: JSON.stringify(failure), ended_at: 1 })
      .where('id', '=', id)
      .execute()
    const enter = (word: string) => edge.call('POST', `/v1/sessions/${id}/entry`, { secret: word }, { nobody: '' })
    const answer = await enter(secret)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('set-cookie')).toBeNull()
    const failed = { outcome: 'failed', failure: { code: 'vmm_exited', message: 'It stopped.' } }
    expect(await answer.json()).toEqual({ end: { ...failed, return_url: null, provider_title: 'Demo identity' } })
    expect(await problemOf(await enter('guessed'))).toMatchObject({ status: 403, code: 'entry_invalid' })
  })

  test('of a session that does not exist is refused like a wrong secret', async () => {
    const body = { secret: 'x'.repeat(43) }
    for (const id of [(await edge.newSession()).id, newId('session')])
      expect(await problemOf(await edge.call('POST', `/v1/sessions/${id}/entry`, body, { nobody: '' }))).toMatchObject({
        code: 'entry_invalid',
      })
  })
})

describe('connections', () => {
  test('give their credential to a key, not to be kept by anything on the way', async () => {
    const session = await edge.newSession()
    const path = `/v1/connections/${session.connection_id}`
    const key = { authorization: `Bearer ${await edge.key('credentials:read')}` }
    expect(await problemOf(await edge.call('GET', `${path}/credential`, undefined, key))).toMatchObject({
      code: 'connection_needs_auth',
    })
    await edge.fillVault(session, 'token-of-ada')
    const response = await edge.call('GET', `${path}/credential`, undefined, key)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await response.json()).toMatchObject({ version: 1, value: { kind: 'oauth2', access_token: 'token-of-ada' } })
    const shown = await (await edge.call('GET', path)).text()
    expect(JSON.parse(shown)).toMatchObject({ status: 'authenticated', version: 1 })
    expect(shown).not.toContain('token-of-ada')
  })

  test('are signed in anew for the same subject, and deleted for good', async () => {
    const { connection_id, subject } = await edge.newSession()
    const path = `/v1/connections/${connection_id}`
    const response = await edge.call('POST', `${path}/reauth`, { timeout_seconds: 120 })
    expect(response.status).toBe(201)
    expect(await response.json()).toMatchObject({ provider: 'demo', subject, connection_id })
    expect((await edge.call('DELETE', path)).status).toBe(204)
    expect(await problemOf(await edge.call('GET', path))).toMatchObject({ code: 'not_found' })
    expect(await problemOf(await edge.call('POST', `${path}/reauth`))).toMatchObject({ code: 'not_found' })
  })
})

test('the operator signs in once by a link, and a signed-out cookie is worth nothing', async () => {
  const token = await edge.access.newSignInToken(60)
  const signIn = () => edge.call('POST', '/v1/operator/sign-in', { token }, { nobody: '', origin: edge.url })
  const response = await signIn()
  const cookie = response.headers.get('set-cookie')?.split(';')[0] ?? ''
  expect(response.headers.get('set-cookie')).toMatch(/; Path=\/; HttpOnly; SameSite=Strict$/)
  expect(await problemOf(await signIn())).toMatchObject({ code: 'entry_invalid' })
  expect(await json(edge.call('GET', '/v1/operator', undefined, { cookie }))).toEqual({ signed_in: true, name: null })
  await edge.call('POST', '/v1/operator/sign-out', undefined, { cookie, 'x-anteroom-request': '1' })
  expect((await edge.call('GET', '/v1/operator', undefined, { cookie })).status).toBe(401)
})

describe('the process', () => {
  test('is healthy, ready and measured', async () => {
    expect(await json(edge.call('GET', '/healthz'))).toEqual({ status: 'ok' })
    expect(await json(edge.call('GET', '/readyz'))).toEqual({ status: 'ready' })
    const metrics = await edge.call('GET', '/metrics')
    expect(metrics.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(await metrics.text()).toBe('anteroom_up 1\n')
  })

  test('says which port it cannot have, why, and what to do', async () => {
    const port = Number(new URL(edge.url).port)
    await expect(startEdge({ port })).rejects.toMatchObject({
      code: 'config_invalid',
      detail: `listen 127.0.0.1:${port}: another program listens there. Stop that one, or choose another port: npm start -- --port N`,
    })
  })

  test('says what is missing', async () => {
    const starting = await startEdge({ overrides: { ready: async () => ['no golden image'] } })
    const answer = await problemOf(await starting.call('GET', '/readyz'))
    expect(answer).toMatchObject({ status: 503, code: 'not_ready', detail: 'no golden image' })
    await starting.stop()
  })
})

describe('the pages', () => {
  test.each([
    ['/', 'dashboard'],
    ['/sign-in', 'dashboard'],
    ['/connect/ses_x', 'connect'],
  ])('%s is asked for each time', async (path, title) => {
    const response = await edge.call('GET', path, undefined, { nobody: '' })
    expect(response.headers.get('cache-control')).toBe('no-cache')
    expect(await response.text()).toContain(`<title>${title}</title>`)
  })

  test('have assets that are kept for ever', async () => {
    const response = await edge.call('GET', '/assets/app-0a1b.js', undefined, { nobody: '' })
    expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    expect(await problemOf(await edge.call('GET', '/assets/app-ffff.js'))).toMatchObject({ code: 'not_found' })
  })

  test('run no script and style but their own, in no frame, and tell nobody where people come from', async () => {
    const { headers } = await edge.call('GET', '/connect/ses_x', undefined, { nobody: '' })
    const policy = headers.get('content-security-policy') ?? ''
    expect(policy).toContain("script-src 'self'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toContain('unsafe')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  })
})
