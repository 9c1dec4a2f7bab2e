import { createHash } from 'node:crypto'
import { request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { newToken, Scope } from '@anteroom/base'
import { agentOpen } from '@anteroom/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Claim } from './claim.ts'
import { type Call, createLinkServer } from './link-server.ts'

let server: Server
let address: string
const secret = newToken()

beforeEach(async () => {
  const claim = new Claim()
  claim.make(createHash('sha256').update(secret).digest())
  const routes = {
    'POST /v1/open': async ({ body }: Call) => {
      await body(agentOpen)
      return { status: 202 }
    },
    'GET /v1/log': () => ({ status: 200, content: 'text' }),
  }
  const isAuthorised = (authorization: string | undefined): boolean => claim.isHolder(authorization)
  server = createLinkServer({ isAuthorised, routes, egress: (socket) => socket.end('hello') }, Scope.root('test'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const post = (path: string, body: string | object, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(address + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
const told = async (response: Response): Promise<unknown> => [response.status, (await response.json()).code]

test('only the secret of the claim opens', async () => {
  expect(await told(await fetch(`${address}/v1/log`))).toEqual([401, 'unauthenticated'])
  const as = (secret: string) => fetch(`${address}/v1/log`, { headers: { authorization: `Bearer ${secret}` } })
  expect(await (await as(secret)).text()).toBe('text')
  expect((await as(newToken())).status).toBe(401)
  expect((await as('')).status).toBe(401)
})

describe('bad input', () => {
  const authorization = `Bearer ${secret}`

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
