import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Scope } from '@anteroom/base'
import type { Oauth2Provider } from '@anteroom/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { beginAuthorization } from './oauth2-authorization.ts'

const scope = Scope.root('test')
const issuer = 'http://idp.example.com'
/** A proxy that is the provider itself: absolute-form requests end here. */
let proxy: Server
let answers: Record<string, RequestListener>

const json =
  (status: number, content: unknown): RequestListener =>
  (_request, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(content))

beforeEach(async () => {
  const metadata = { issuer, authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token` }
  answers = { [`${issuer}/.well-known/openid-configuration`]: json(200, metadata) }
  proxy = createServer((request, response) => (answers[request.url ?? ''] ?? json(404, {}))(request, response))
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
})

afterEach(async () => {
  proxy.closeAllConnections()
  await new Promise((resolve) => proxy.close(resolve))
})

const provider: Oauth2Provider = {
  name: 'idp',
  title: 'Identity',
  kind: 'oauth2',
  issuer,
  client_id: 'client',
  scopes: ['profile'],
  authorization_params: { audience: 'api', state: 'chosen by the definition' },
  capture: { tokens: true },
  egress: { allow: ['idp.example.com'] },
}
const begin = (definition: Oauth2Provider = provider) =>
  beginAuthorization(definition, 'http://127.0.0.1:1/callback', (proxy.address() as AddressInfo).port, scope)

/** What the provider sends back for the request that was begun. */
async function redirected(answer: Record<string, string>) {
  const authorization = await begin()
  const state = new URL(authorization.url).searchParams.get('state') ?? ''
  return authorization.exchange(new URLSearchParams({ state, ...answer }), scope)
}

test('the request carries PKCE, a state of its own and the parameters of the definition', async () => {
  const { searchParams } = new URL((await begin()).url)
  expect(Object.fromEntries(searchParams)).toMatchObject({
    audience: 'api',
    client_id: 'client',
    code_challenge_method: 'S256',
    redirect_uri: 'http://127.0.0.1:1/callback',
    response_type: 'code',
    scope: 'profile',
  })
  expect(searchParams.get('code_challenge')).toMatch(/^[\w-]{43}$/)
  expect(searchParams.get('state')).toMatch(/^[\w-]{43}$/)
})

test('finds the metadata of RFC 8414 where there are none of OpenID', async () => {
  const metadata = answers[`${issuer}/.well-known/openid-configuration`] ?? json(404, {})
  answers = { [`${issuer}/.well-known/oauth-authorization-server`]: metadata }
  expect((await begin()).url).toContain(`${issuer}/auth?`)
})

test('the code is exchanged with its verifier', async () => {
  let body = ''
  answers[`${issuer}/token`] = (request, response) => {
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk
    })
    request.on('end', () => json(200, { access_token: 'at', token_type: 'Bearer', expires_in: 60 })(request, response))
  }
  const tokens = await redirected({ code: 'the-code' })
  expect(tokens.expose()).toMatchObject({ access_token: 'at', token_type: 'bearer' })
  expect(Object.fromEntries(new URLSearchParams(body))).toMatchObject({ code: 'the-code', client_id: 'client' })
  expect(new URLSearchParams(body).get('code_verifier')).toMatch(/^[\w-]{43}$/)
})

describe('what goes wrong has a code, and no secret in its detail', () => {
  const failing: [string, Record<string, string>, RequestListener | undefined, string][] = [
    ['refused by the person', { error: 'access_denied' }, undefined, 'consent_denied'],
    ['refused by the provider', { error: 'invalid_scope', error_description: 'no such' }, undefined, 'oauth_error'],
    ['another issuer', { code: 'c0de', iss: 'http://evil.example.com' }, undefined, 'oauth_error'],
    ['another state', { code: 'c0de', state: 'x' }, undefined, 'oauth_state_mismatch'],
    ['no code', {}, undefined, 'oauth_error'],
    ['code used before', { code: 'c0de' }, json(400, { error: 'invalid_grant' }), 'token_exchange_failed'],
    ['5xx', { code: 'c0de' }, json(503, 'down'), 'token_exchange_failed'],
    ['no tokens', { code: 'c0de' }, json(200, {}), 'token_exchange_failed'],
    ['hung up', { code: 'c0de' }, (request) => request.socket.destroy(), 'token_exchange_failed'],
  ]
  test.each(failing)('%s', async (_name, answer, tokenEndpoint, code) => {
    if (tokenEndpoint) answers[`${issuer}/token`] = tokenEndpoint
    const error = await redirected(answer).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code, detail: expect.stringMatching(/./) })
    expect(error).not.toMatchObject({ detail: expect.stringContaining('c0de') })
  })

  test('no metadata', async () => {
    answers = {}
    await expect(begin()).rejects.toMatchObject({ code: 'issuer_unreachable' })
  })

  test('no way there', async () => {
    proxy.removeAllListeners('request')
    proxy.on('request', (request) => request.socket.destroy())
    await expect(begin()).rejects.toMatchObject({ code: 'issuer_unreachable' })
  })

  test('metadata of somebody else', async () => {
    answers[`${issuer}/.well-known/openid-configuration`] = json(200, { issuer: 'http://evil.example.com' })
    await expect(begin()).rejects.toMatchObject({ code: 'issuer_unreachable' })
  })
})
