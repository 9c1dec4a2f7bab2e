import { newId } from '@anteroom/base'
import { type ErrorCode, keyScopes } from '@anteroom/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RouteEntry } from './route-table.ts'
import {
  addressOf,
  comparable,
  forgedKeys,
  idsOfNothing,
  newTenant,
  newThings,
  overKeys,
  statementsOf,
} from './test/access-matrix.ts'
import { type Edge, problemOf, startEdge } from './test/running-edge.ts'

// The routes must be known before the tests are declared; the matrix then holds whatever is registered.
const edge = await startEdge()
afterAll(() => edge.stop())

const isOpen = ({ access }: RouteEntry): boolean => access.scope === 'public'
const guarded = edge.http.routes.entries.filter((route) => !isOpen(route))
const mayVisit = ({ access }: RouteEntry): boolean => access.visitor === true
const isMutating = ({ method }: RouteEntry): boolean => method !== 'GET'
const titled = (routes: RouteEntry[]) => routes.map((route) => ({ name: `${route.method} ${route.url}`, route }))

/** The route's address with ids of things that exist, made for this call. */
const addressFor = async ({ url }: RouteEntry): Promise<string> => addressOf(url, await newThings(edge))

const by = (key: string) => ({ authorization: `Bearer ${key}` })

/** Status and code; the body of an event stream never ends. */
async function outcome(response: Promise<Response>): Promise<{ status: number; code?: ErrorCode }> {
  const answer = await response
  if (answer.status >= 400) return { status: answer.status, code: (await problemOf(answer)).code }
  await answer.body?.cancel()
  return { status: answer.status }
}

const call = (route: RouteEntry, address: string, headers: Record<string, string>) =>
  outcome(edge.call(route.method, address, undefined, headers))

test('nothing but this is open to everybody', () => {
  const open = edge.http.routes.entries.filter(isOpen).map(({ method, url }) => `${method} ${url}`)
  expect(open.toSorted()).toEqual([
    'GET /',
    'GET /:file(^[\\w-]+\\.[a-z0-9]+$)',
    'GET /assets/*',
    'GET /connect/*',
    'GET /errors',
    'GET /healthz',
    'GET /openapi.json',
    'GET /readyz',
    'GET /sign-in',
    'GET /sign-in/answer',
    'GET /v1/operator/sign-in',
    'GET /v1/sessions/:id/live',
    'POST /v1/operator/oidc',
    'POST /v1/operator/oidc/answer',
    'POST /v1/operator/sign-in',
    'POST /v1/sessions/:id/entry',
  ])
})

test('a route that does not say who may call it cannot be registered', async () => {
  const { RouteTable } = await import('./route-table.ts')
  const { default: Fastify } = await import('fastify')
  const app = Fastify()
  new RouteTable(app)
  expect(() => app.get('/open', async () => 'oops')).toThrow('GET /open does not declare config.access')
})

describe.each(titled(guarded))('$name', ({ route }) => {
  test('refuses nobody and unknown keys', async () => {
    const address = await addressFor(route)
    const refused = { status: 401, code: 'unauthenticated' }
    expect(await call(route, address, { nobody: '' })).toEqual(refused)
    expect(await call(route, address, { authorization: 'Bearer nonsense' })).toEqual(refused)
    expect(await call(route, address, { authorization: 'Basic b3BlcmF0b3I6' })).toEqual(refused)
    expect(
      await call(route, address, {
        cookie: `anteroom_operator=nonsense; anteroom_visit_${address.split('/')[3]}=nonsense`,
      }),
    ).toEqual(refused)
  })

  test('refuses a key with every other scope', async () => {
    const key = await edge.key(...keyScopes.filter((scope) => scope !== route.access.scope))
    const answer = await call(route, await addressFor(route), { authorization: `Bearer ${key}` })
    expect(answer).toEqual({ status: 403, code: 'forbidden' })
  })

  test('serves a key with its scope alone', async () => {
    const key = await edge.key(...keyScopes.filter((scope) => scope === route.access.scope))
    const { status } = await call(route, await addressFor(route), { authorization: `Bearer ${key}` })
    expect([401, 403, 404, 405]).not.toContain(status)
    expect(status).toBeLessThan(500)
  })

  test('hides the session of another visitor, and everything that is not a session', async () => {
    const cookie = await edge.visitorOf(await edge.newSession())
    const address = await addressFor(route)
    const as = (cookie: string) => call(route, address, { cookie, 'x-anteroom-request': '1' })
    expect(await as(cookie)).toEqual({ status: 401, code: 'unauthenticated' })
    // Under the name of the cookie that belongs here it is still the other's.
    const renamed = await as(cookie.replace(/^[^=]+/, `anteroom_visit_${address.split('/')[3] ?? ''}`))
    if (mayVisit(route)) expect(renamed).toEqual({ status: 404, code: 'not_found' })
    else expect(renamed.code).toBe(route.url.includes(':id') ? 'forbidden' : 'unauthenticated')
  })

  test('serves the operator by cookie, except what is for keys only', async () => {
    const cookie = await edge.operatorVisit()
    const { status, code } = await call(route, await addressFor(route), { cookie, 'x-anteroom-request': '1' })
    if (route.access.keysOnly) expect(code).toBe('forbidden')
    else expect([401, 403, 404, 405]).not.toContain(status)
  })
})

describe.each(titled(guarded.filter(isMutating)))('$name', ({ route }) => {
  test('refuses a cookie without the header, or from another origin', async () => {
    const cookie = await edge.operatorVisit()
    const address = await addressFor(route)
    const refused = { status: 403, code: 'origin_refused' }
    expect(await call(route, address, { cookie })).toEqual(refused)
    for (const origin of ['http://evil.test', edge.url.replace(/\d+$/, '1'), 'null'])
      expect(await call(route, address, { cookie, origin, 'x-anteroom-request': '1' })).toEqual(refused)
  })
})

describe.each(titled(guarded.filter(mayVisit)))('$name', ({ route }) => {
  test('serves the visitor of the session', async () => {
    const session = await edge.newSession()
    const headers = { cookie: await edge.visitorOf(session), origin: edge.url, 'x-anteroom-request': '1' }
    const { status } = await call(route, route.url.replace(':id', session.id), headers)
    expect([401, 403, 404, 405]).not.toContain(status)
  })
})

/** A key in force that has its own scope, and for a tenant every other. */
const tenant = await newTenant(edge)
const over = await overKeys(edge)
const forged = forgedKeys(edge.operatorKey)
const isOperators = ({ access }: RouteEntry): boolean => access.scope === 'operator'
const hasId = ({ url }: RouteEntry): boolean => url.includes(':id')

describe.each(titled(guarded))('$name', ({ route }) => {
  test.each(Object.entries({ ...over, ...forged }))('refuses a key %s', async (_why, key) => {
    expect(await call(route, await addressFor(route), by(key))).toEqual({ status: 401, code: 'unauthenticated' })
  })
})

describe.each(titled(guarded.filter((route) => hasId(route) && !isOperators(route))))('$name', ({ route }) => {
  test('serves the project whose thing it is', async () => {
    const address = addressOf(route.url, await newThings(edge, tenant.projectId))
    expect([401, 403, 404, 405]).not.toContain((await call(route, address, by(tenant.key))).status)
  })

  test('gives for a thing of another project what it gives for none: every byte of the answer, by the same statements', async () => {
    const ask = (address: string) =>
      statementsOf(async () => await comparable(await edge.call(route.method, address, undefined, by(tenant.key))))
    const nothing = addressOf(route.url, idsOfNothing())
    // What is noted once a minute is noted now.
    await ask(nothing)
    const [others, none] = [await ask(await addressFor(route)), await ask(nothing)]
    expect(others).toEqual(none)
    expect(none.result.status).toBe(404)
    expect(none.statements.length).toBeGreaterThan(1)
  })
})

describe.each(titled(guarded.filter((route) => hasId(route) && isOperators(route))))('$name', ({ route }) => {
  test('gives not_found for an id of nothing, and is not for a project', async () => {
    const address = addressOf(route.url, idsOfNothing())
    expect(await call(route, address, by(edge.operatorKey))).toEqual({ status: 404, code: 'not_found' })
    const things = addressOf(route.url, await newThings(edge, tenant.projectId))
    expect(await call(route, things, by(tenant.key))).toEqual({ status: 403, code: 'forbidden' })
  })
})

test('a session that is not yours and one that does not exist give the same answer', async () => {
  const other = await edge.newSession()
  const mine = await edge.visitorOf(await edge.newSession())
  // Under its own name it is nobody's here.
  const cookie = mine.replace(/^[^=]+/, `anteroom_visit_${other.id}`)
  const notYours = await problemOf(await edge.call('GET', `/v1/sessions/${other.id}`, undefined, { cookie }))
  const missing = await problemOf(await edge.call('GET', `/v1/sessions/${newId('session')}`))
  expect({ ...notYours, request_id: '' }).toEqual({ ...missing, request_id: '' })
})

describe('names of this server', () => {
  const statusFor = async (edgeOf: Edge, headers: Record<string, string>): Promise<number> =>
    (await edgeOf.http.app.inject({ url: '/healthz', headers })).statusCode

  test.each([
    'evil.test',
    'localhost.evil.test',
    '127.0.0.1.evil.test:4400',
    '192.168.0.7',
    'a b',
    '127.0.0.1@evil.test',
  ])('refuses Host %j', async (host) => expect(await statusFor(edge, { host })).toBe(403))

  test.each(['localhost', 'localhost:4400', '127.0.0.1:9', '[::1]:4400'])('takes Host %j', async (host) =>
    expect(await statusFor(edge, { host })).toBe(200),
  )

  describe('with a public address', () => {
    let proxied: Edge
    beforeAll(async () => {
      proxied = await startEdge({ publicUrl: 'https://anteroom.example' })
    })
    afterAll(() => proxied.stop())

    test('takes its name, its origin over https only, and sets secure cookies', async () => {
      expect(await statusFor(proxied, { host: 'anteroom.example' })).toBe(200)
      const signIn = async (origin: string) =>
        await proxied.http.app.inject({
          method: 'POST',
          url: '/v1/operator/sign-in',
          headers: { host: 'anteroom.example', origin },
          payload: { token: await proxied.access.newSignInToken(60) },
        })
      expect((await signIn('http://anteroom.example')).json()).toMatchObject({ code: 'origin_refused' })
      const answer = await signIn('https://anteroom.example')
      expect(answer.statusCode).toBe(204)
      expect(answer.cookies).toMatchObject([
        { name: '__Host-anteroom_operator', httpOnly: true, sameSite: 'Strict', secure: true, path: '/' },
      ])
      expect(answer.headers['strict-transport-security']).toContain('max-age')
    })
  })
})

test('too many requests of one address are told when to come back', async () => {
  const limited = await startEdge()
  const get = () => limited.http.app.inject({ url: '/healthz', headers: { host: 'localhost' } })
  let answer = await get()
  for (let sent = 1; sent <= 3000; sent++) answer = await get()
  expect(answer.json()).toMatchObject({ status: 429, code: 'rate_limited' })
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  await limited.stop()
})
