import { request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { newId, newToken, Scope } from '@anteroom/base'
import { type AgentClaim, agentClaim, agentOpen } from '@anteroom/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Claim } from './claim.ts'
import { type Call, createLinkServer } from './link-server.ts'

let server: Server
let address: string
let applied: AgentClaim[]
let failNext: boolean

beforeEach(async () => {
  applied = []
  failNext = false
  const claim = new Claim(async (made) => {
    if (failNext) {
      failNext = false
      throw new Error('the clock could not be set')
    }
    applied.push(made)
  })
  const routes = {
    'POST /v1/claim': async ({ body, scope }: Call) => ({
      status: (await claim.make(await body(agentClaim), scope)) ? 204 : 409,
    }),
    'POST /v1/open': async ({ body }: Call) => {
      await body(agentOpen)
      return { status: 202 }
    },
    'GET /v1/log': () => ({ status: 200, content: 'text' }),
  }
  const isAuthorised = (authorization: string | undefined, route: string): boolean =>
    route === 'POST /v1/claim' || claim.isHolder(authorization)
  server = createLinkServer({ isAuthorised, routes, egress: (socket) => socket.end('hello') }, Scope.root('test'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const claimBody = (): AgentClaim => ({
  machine_id: newId('machine'),
  secret: newToken(),
  rfb_password: '12345678',
  now_ms: 1,
  entropy: 'e'.repeat(86),
})
const post = (path: string, body: string | object, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(address + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
const told = async (response: Response): Promise<unknown> => [response.status, (await response.json()).code]

describe('claim', () => {
  test('once; again the same; never another', async () => {
    const claim = claimBody()
    expect((await post('/v1/claim', claim)).status).toBe(204)
    expect((await post('/v1/claim', claim)).status).toBe(204)
    expect((await post('/v1/claim', { ...claim, secret: newToken() })).status).toBe(409)
    expect((await post('/v1/claim', { ...claim, machine_id: newId('machine') })).status).toBe(409)
    expect(applied).toEqual([claim])
  })

  test('at the same time, one of two', async () => {
    const statuses = await Promise.all(
      [claimBody(), claimBody()].map(async (body) => (await post('/v1/claim', body)).status),
    )
    expect(statuses.sort()).toEqual([204, 409])
  })

  test('that could not be carried out leaves the machine free', async () => {
    failNext = true
    expect(await told(await post('/v1/claim', claimBody()))).toEqual([500, 'internal'])
    expect((await post('/v1/claim', claimBody())).status).toBe(204)
  })

  test('its secret opens the rest', async () => {
    const claim = claimBody()
    expect(await told(await fetch(`${address}/v1/log`))).toEqual([401, 'unauthenticated'])
    await post('/v1/claim', claim)
    const as = (secret: string) => fetch(`${address}/v1/log`, { headers: { authorization: `Bearer ${secret}` } })
    expect(await (await as(claim.secret)).text()).toBe('text')
    expect((await as(newToken())).status).toBe(401)
    expect((await as('')).status).toBe(401)
  })
})

describe('bad input', () => {
  let authorization: string
  beforeEach(async () => {
    const claim = claimBody()
    await post('/v1/claim', claim)
    authorization = `Bearer ${claim.secret}`
  })

  test('names the field', async () => {
    const answer = await post('/v1/open', { session_id: 'ses_1' }, { authorization })
    const problem = await answer.json()
    expect([answer.status, problem.code]).toEqual([400, 'invalid_request'])
    expect(problem.fields).toContainEqual(expect.objectContaining({ pointer: '/session_id' }))
  })

  test.each([
    ['no JSON', '{', {}, [400, 'invalid_request']],
    ['another type', '{}', { 'content-type': 'text/plain' }, [415, 'unsupported_media_type']],
    ['too large', `"${'x'.repeat(300_000)}"`, {}, [413, 'body_too_large']],
    ['from a page', '{}', { origin: 'https://evil.test' }, [403, 'origin_refused']],
  ])('%s', async (_name, body, headers, expected) => {
    expect(await told(await post('/v1/open', body, { authorization, ...headers }))).toEqual(expected)
  })

  test('an address that is none', async () => {
    expect(await told(await post('/v1/toString', {}, { authorization }))).toEqual([404, 'not_found'])
  })

  test('an upgrade needs the secret too', async () => {
    const upgrade = (headers: Record<string, string>) =>
      new Promise((resolve, reject) => {
        request(`${address}/v1/egress`, { headers: { connection: 'Upgrade', upgrade: 'anteroom-egress', ...headers } })
          .on('upgrade', (response, socket) => resolve([response.statusCode, void socket.destroy()][0]))
          .on('response', (response) => resolve([response.statusCode, void response.resume()][0]))
          .on('error', reject)
          .end()
      })
    expect(await upgrade({})).toBe(401)
    expect(await upgrade({ authorization, upgrade: 'websocket' })).toBe(404)
    expect(await upgrade({ authorization })).toBe(101)
  })
})
