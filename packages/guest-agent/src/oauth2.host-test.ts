import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { newId } from '@anteroom/base'
import { type Oauth2Provider, sealedPayload } from '@anteroom/contract'
import { Provider } from 'oidc-provider'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startTestMachine, type TestMachine } from './testing/test-machine.ts'

let machine: TestMachine
let server: Server
let port: number
let issuer: string

/** A certified provider with its own login and consent forms; everybody may be anybody. */
beforeEach(async () => {
  server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
  issuer = `http://idp.test:${port}`
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'anteroom',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['http://127.0.0.1/callback'],
        grant_types: ['authorization_code', 'refresh_token'],
      },
    ],
    scopes: ['openid', 'offline_access'],
    findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    pkce: { required: () => true },
  })
  server.on('request', provider.callback())
  machine = await startTestMachine()
})

afterEach(async () => {
  await machine.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const definition = (): Oauth2Provider => ({
  name: 'idp',
  title: 'Identity',
  kind: 'oauth2',
  issuer,
  client_id: 'anteroom',
  scopes: ['openid', 'offline_access'],
  capture: { tokens: true },
  egress: { allow: ['idp.test'] },
})

test('the person signs in and consents; the tokens are theirs', async () => {
  await machine.open(definition())
  await machine.untilStatus(({ phase }) => phase === 'waiting')
  const again = await machine.call('POST', '/v1/signed-in')
  expect([again.status, await again.json()]).toMatchObject([409, { code: 'session_not_ready' }])

  const hands = await machine.hands()
  const login = await machine.formAt(`${issuer}/interaction/`)
  const loginUrl = login.url
  hands.type('alice\tsecret\r')
  const consent = await machine.scope.until(async () => {
    const page = await machine.formAt(`${issuer}/interaction/`)
    return page.url === loginUrl ? undefined : page
  }, 50)
  hands.type('\r')
  await machine.untilStatus(({ phase }) => phase === 'signed_in')
  await machine.pageAt('http://127.0.0.1:')
  expect(new URL(consent.url).pathname).toBe('/done')
  expect(consent.url).not.toContain('code')
  expect(await consent.evaluate('document.body.innerText', machine.scope)).toContain('You are signed in.')

  const { captured, payload } = await machine.capture()
  expect(captured.summary).toMatchObject({
    kind: 'oauth2',
    tokens: ['access_token', 'refresh_token', 'id_token'],
    scopes: ['openid', 'offline_access'],
  })
  const { value } = sealedPayload.parse(payload)
  if (value.kind !== 'oauth2') throw new Error(value.kind)
  expect(Date.parse(value.expires_at ?? '')).toBeGreaterThan(Date.now())
  expect(await userinfo(value.access_token)).toEqual({ sub: 'alice' })
  expect(machine.log()).not.toContain(value.access_token)
  expect(machine.log()).not.toContain('secret')
})

test('the person refuses', async () => {
  await machine.open(definition())
  await machine.untilStatus(({ phase }) => phase === 'waiting')
  const page = await machine.pageAt(`${issuer}/interaction/`)
  await page.evaluate(`document.querySelector('a[href$="/abort"]').click()`, machine.scope)
  const { failure } = await machine.untilStatus(({ phase }) => phase === 'failed')
  expect(failure).toMatchObject({ code: 'consent_denied', detail: expect.stringContaining('access_denied') })
  const told = await machine.pageAt('http://127.0.0.1:')
  expect(await told.evaluate('document.body.innerText', machine.scope)).toContain('You did not agree at the provider')
})

test('another answer than the awaited one ends the sign-in', async () => {
  await machine.open({ ...definition(), authorization_params: { response_mode: 'query', prompt: 'none' } })
  // prompt=none without a session: the provider itself answers with an error.
  const { failure } = await machine.untilStatus(({ phase }) => phase === 'failed')
  expect(failure).toMatchObject({ code: 'oauth_error', detail: expect.stringContaining('login_required') })
})

test('one session a machine', async () => {
  await machine.open(definition())
  const other = await machine
    .open(definition())
    .then(() => 'opened')
    .catch((error: Error) => error.message)
  expect(other).toContain('another session')
  const malformed = await machine.call('POST', '/v1/open', {
    session_id: newId('session'),
    provider: { kind: 'oauth2' },
  })
  expect([malformed.status, await malformed.json()]).toMatchObject([400, { code: 'invalid_request' }])
})

async function userinfo(accessToken: string): Promise<unknown> {
  const { request } = await import('node:http')
  return await new Promise((resolve, reject) => {
    const headers = { host: `idp.test:${port}`, authorization: `Bearer ${accessToken}` }
    request({ host: '127.0.0.1', port, path: '/me', headers }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk
      })
      response.on('end', () => resolve(JSON.parse(body)))
    })
      .on('error', reject)
      .end()
  })
}
