import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { newId } from '@anteroom/base'
import { problem } from '@anteroom/contract'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { problemOf, startEdge } from './test/running-edge.ts'

const edge = await startEdge()
afterAll(() => edge.stop())

const session = await edge.newSession()
const keyId = `key_${(await edge.key('sessions:read')).split('_')[1]}`
const at = (url: string): string => {
  if (url.startsWith('/v1/keys')) return url.replace(':id', keyId)
  return url.replace(':id', url.startsWith('/v1/connections') ? (session.connection_id ?? '') : session.id)
}

describe('every wrong field is named', () => {
  test.each(['', 'app', 'https://app.example.com/', 'javascript:alert(1)', 'https://'])(
    'a ticket for a page of the origin %j',
    async (origin) => {
      const answer = await problemOf(await edge.call('POST', `/v1/sessions/${session.id}/tickets`, { origin }))
      expect(answer).toMatchObject({ status: 400, code: 'invalid_request' })
      expect(answer.fields?.map(({ pointer }) => pointer)).toContain('/origin')
    },
  )

  test.each([
    ['nothing at all', undefined, { '/provider': 'is required', '/subject': 'is required' }],
    ['a list', [], { '': expect.stringContaining('expected object') }],
    ['null', null, { '/provider': 'is required', '/subject': 'is required' }],
    ['a wrong type', { provider: 7, subject: 'ada' }, { '/provider': expect.stringContaining('expected string') }],
    ['an empty subject', { provider: 'demo', subject: '  ' }, { '/subject': expect.any(String) }],
    [
      'a control character',
      { provider: 'demo', subject: 'a\u0007' },
      { '/subject': 'must not contain control characters' },
    ],
    [
      'a misspelt name',
      { provider: 'demo', subject: 'ada', timeout_second: 60 },
      { '/timeout_second': 'is not known; did you mean timeout_seconds?' },
    ],
    ['an unknown name', { provider: 'demo', subject: 'ada', 'x/y~z': 1 }, { '/x~1y~0z': 'is not known' }],
    [
      'a wrong id',
      { provider: 'demo', subject: 'ada', connection_id: 'con_1' },
      { '/connection_id': expect.stringContaining('con_') },
    ],
    [
      'a number out of range',
      { provider: 'demo', subject: 'ada', timeout_seconds: 1 },
      { '/timeout_seconds': expect.any(String) },
    ],
    [
      'a script as address',
      { provider: 'demo', subject: 'ada', return_url: 'javascript:alert(1)' },
      { '/return_url': expect.any(String) },
    ],
    [
      'a prototype',
      '{"provider":"demo","subject":"ada","__proto__":{"admin":true}}',
      { '': expect.stringContaining('__proto__') },
    ],
  ])('%s', async (_what, body, fields) => {
    const answer = await problemOf(await edge.call('POST', '/v1/sessions', body))
    expect(answer).toMatchObject({ status: 400, code: 'invalid_request' })
    expect(Object.fromEntries((answer.fields ?? []).map(({ pointer, message }) => [pointer, message]))).toEqual(fields)
  })

  test.each([
    ['/v1/sessions/ses_1', 'id'],
    [`/v1/sessions/${newId('connection')}`, 'id'],
    ["/v1/connections/1'%20or%201=1--", 'id'],
    ['/v1/sessions?status=done', 'status'],
    ['/v1/sessions?limit=101', 'limit'],
    ['/v1/sessions?limit=ten', 'limit'],
    ['/v1/sessions?limit=1&limit=2', 'limit'],
    ['/v1/sessions?stat=ended', 'stat'],
    [`/v1/sessions/${session.id}/events`, 'last-event-id'],
  ])('GET %s', async (path, pointer) => {
    const answer = await problemOf(await edge.call('GET', path, undefined, { ...bearer(), 'last-event-id': 'x' }))
    expect(answer).toMatchObject({ status: 400, code: 'invalid_request' })
    expect(answer.fields?.map((field) => field.pointer)).toContain(pointer)
  })

  test('an Idempotency-Key', async () => {
    const headers = { ...bearer(), 'idempotency-key': 'a key with spaces' }
    const answer = await problemOf(await edge.call('POST', '/v1/sessions', { provider: 'demo', subject: 'a' }, headers))
    expect(answer.fields).toEqual([expect.objectContaining({ pointer: 'idempotency-key' })])
  })
})

const bearer = () => ({ authorization: `Bearer ${edge.operatorKey}` })

describe('what is no request of this API', () => {
  test.each([
    ['JSON that breaks off', '{"provider":', {}, 400, 'invalid_request'],
    ['a prototype', '{"__proto__":{"x":1}}', {}, 400, 'invalid_request'],
    ['a form', 'provider=demo', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'unsupported_media_type'],
    ['plain text', '{}', { 'content-type': 'text/plain' }, 415, 'unsupported_media_type'],
    ['a malformed media type', '{}', { 'content-type': 'json' }, 415, 'unsupported_media_type'],
    ['a huge body', JSON.stringify('x'.repeat(70_000)), {}, 413, 'body_too_large'],
    ['an unknown provider', '{"provider":"nope","subject":"a"}', {}, 422, 'provider_unknown'],
  ])('%s', async (_what, body, headers, status, code) => {
    const answer = await problemOf(
      await edge.call('POST', '/v1/sessions', body, { ...bearer(), 'content-type': 'application/json', ...headers }),
    )
    expect(answer).toMatchObject({ status, code })
  })

  test.each([
    ['GET', '/v1/nothing', 404, 'not_found'],
    ['GET', `/v1/sessions/${newId('session')}`, 404, 'not_found'],
    ['GET', '/assets/../../etc/passwd', 404, 'not_found'],
    ['GET', '/assets/%2e%2e%2f%2e%2e%2fvault.key', 400, 'invalid_request'],
    ['GET', '/v1/sessions/%E0%A4%A', 400, 'invalid_request'],
    ['GET', `/v1/sessions/${'x'.repeat(500)}`, 404, 'not_found'],
  ])('%s %s', async (method, path, status, code) => {
    const response = await edge.call(method, path)
    expect(response.headers.get('x-request-id')).toMatch(/^req_[a-z2-7]{24}$/)
    expect(await problemOf(response)).toMatchObject({ status, code })
  })

  test('a wrong method is told the right ones', async () => {
    const response = await edge.call('PUT', `/v1/sessions/${session.id}/tickets?x=1`)
    expect(response.headers.get('allow')).toBe('POST, DELETE')
    expect(await problemOf(response)).toMatchObject({ status: 405, code: 'method_not_allowed' })
  })

  test('bytes that are not HTTP', async () => {
    const socket = connect(Number(new URL(edge.url).port), '127.0.0.1')
    socket.write('RFB 003.008\n\n')
    const answer = await text(socket)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(problem.parse(JSON.parse(answer.split('\r\n\r\n')[1] ?? ''))).toMatchObject({ code: 'invalid_request' })
  })
})

test('what breaks inside is logged under the id of the request and told to nobody', async () => {
  const lines: object[] = []
  const note = (fields: object): void => void lines.push(fields)
  const log = { debug() {}, info() {}, warn: note, error: note, child: () => log }
  const secret = 'SQLITE_ERROR: no such column hunter2'
  const broken = await startEdge({
    log,
    overrides: {
      machines: async () => {
        throw new Error(secret)
      },
    },
  })
  const response = await broken.call('GET', '/v1/machines')
  const body = await response.text()
  expect(response.status).toBe(500)
  expect(body).toContain('"code":"internal"')
  expect(body).not.toContain('hunter2')
  expect(lines).toEqual([
    expect.objectContaining({
      request: response.headers.get('x-request-id'),
      error: expect.objectContaining({ message: secret }),
    }),
  ])
  await broken.stop()
})

/** Bodies that are almost right reach further than random ones. */
const almost = fc.record(
  {
    provider: fc.oneof(fc.constant('demo'), fc.string()),
    subject: fc.string({ unit: 'binary' }),
    connection_id: fc.oneof(fc.constant(session.connection_id), fc.string()),
    timeout_seconds: fc.oneof(fc.integer(), fc.double()),
    return_url: fc.oneof(fc.webUrl(), fc.string()),
    access: fc.constantFrom('view', 'control', 'both'),
    ttl_seconds: fc.integer({ min: 0, max: 400 }),
    secret: fc.string(),
    token: fc.string(),
  },
  { requiredKeys: [] },
)
const posts = edge.http.routes.entries.filter(({ method }) => method === 'POST')

test.each(posts.map(({ url }) => url))('no JSON makes POST %s fail inside', async (url) => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.jsonValue(), almost), async (body) => {
      const answer = await edge.http.app.inject({
        method: 'POST',
        url: at(url),
        headers: { ...bearer(), host: 'localhost', 'content-type': 'application/json' },
        payload: JSON.stringify(body),
      })
      expect(answer.statusCode).toBeLessThan(500)
      if (answer.statusCode >= 400) problem.parse(answer.json())
    }),
    { numRuns: 60 },
  )
})

test('no query makes GET /v1/sessions fail inside', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(
        fc.constantFrom('cursor', 'limit', 'status', 'provider', 'subject', '__proto__'),
        fc.string({ unit: 'binary' }),
      ),
      async (query) => {
        const answer = await edge.http.app.inject({
          url: '/v1/sessions',
          query,
          headers: { ...bearer(), host: 'localhost' },
        })
        expect(answer.statusCode).toBeLessThan(500)
      },
    ),
    { numRuns: 60 },
  )
})
