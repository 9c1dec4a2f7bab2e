import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { freePort, type OidcIssuer, startOidcIssuer } from '../../test/oidc-issuer.ts'
import { createAccess } from '../access/access.ts'
import { type Edge, problemOf, startEdge } from './test/running-edge.ts'

let directory: string
let port: number
let issuer: OidcIssuer
let edge: Edge
const ada = { sub: 'ada', claims: { name: 'Ada Lovelace', email: 'ada@example.com', email_verified: true } }

const operatorsOf = (url: string, allow: object, more: object = {}) => ({
  oidc: {
    ...{ issuer: url, client_id: 'anteroom', client_secret_file: join(directory, 'secret'), allow },
    scopes: ['openid', 'profile', 'email', 'groups'],
  },
  ...more,
})
const allow = { subjects: ['ada'], emails: ['grace@example.com'], groups: ['operators'] }

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anteroom-oidc-'))
  await writeFile(join(directory, 'secret'), 's3cret\n')
  port = await freePort()
  issuer = await startOidcIssuer(`http://127.0.0.1:${port}/sign-in/answer`)
  edge = await startEdge({ port, operators: operatorsOf(issuer.url, allow) })
})
afterAll(async () => {
  await edge.stop()
  await issuer.close()
  await rm(directory, { recursive: true })
})
beforeEach(() => {
  issuer.account = ada
})

/** A browser that begins to sign in: its cookie, and where it is sent. */
async function begin(of = edge) {
  const response = await of.call('POST', '/v1/operator/oidc', {}, { nobody: '', origin: of.url })
  if (response.status !== 200) throw new Error(JSON.stringify(await response.json()))
  const { location } = (await response.json()) as { location: string }
  return { location, set: response.headers.get('set-cookie') ?? '' }
}

const answerWith = (query: URLSearchParams, cookie: string, of = edge) =>
  of.call('POST', '/v1/operator/oidc/answer', Object.fromEntries(query), { cookie, origin: of.url })

async function signIn(change: (location: URL) => void = () => {}, of = edge) {
  const { location, set } = await begin(of)
  const url = new URL(location)
  change(url)
  const { searchParams } = await issuer.follow(url.href)
  return await answerWith(searchParams, set.split(';')[0] ?? '', of)
}

const cookieOf = (response: Response): string =>
  response.headers
    .getSetCookie()
    .find((cookie) => cookie.startsWith('anteroom_operator='))
    ?.split(';')[0] ?? ''

test('somebody who is named signs in, is known by name, and is written down by subject', async () => {
  const { set } = await begin()
  expect(set).toMatch(/^anteroom_attempt=[^;]+; Max-Age=600; Path=\/; HttpOnly; SameSite=Strict$/)
  const answer = await signIn()
  expect(answer.status).toBe(204)
  const cookie = cookieOf(answer)
  const told = await edge.call('GET', '/v1/operator', undefined, { cookie })
  expect(await told.json()).toEqual({ signed_in: true, name: 'Ada Lovelace' })
  const principal = await edge.access.byCookie(cookie.split('=')[1] ?? '')
  expect(principal).toMatchObject({ kind: 'operator', person: { subject: 'ada', name: 'Ada Lovelace' } })
  const ways = await edge.call('GET', '/v1/operator/sign-in', undefined, { nobody: '' })
  expect(await ways.json()).toEqual({ issuer: new URL(issuer.url).host, links: true })
})

test.each([
  ['a verified address', { sub: 'g', claims: { email: 'grace@example.com', email_verified: true } }, 204],
  ['one that nobody has verified', { sub: 'g', claims: { email: 'grace@example.com', email_verified: false } }, 403],
  ['a group', { sub: 'x', claims: { groups: ['staff', 'operators'] } }, 204],
  ['a group by another name', { sub: 'x', claims: { groups: ['operators2'] } }, 403],
  ['nothing that is named', { sub: 'mallory', claims: { email: 'm@example.com', email_verified: true } }, 403],
])('with %s', async (_, account, status) => {
  issuer.account = account
  const answer = await signIn()
  expect(answer.status).toBe(status)
  if (status === 403) expect(await problemOf(answer)).toMatchObject({ code: 'operator_not_allowed' })
})

describe('an answer is refused', () => {
  const refused = async (answer: Promise<Response>): Promise<string | undefined> => {
    const problem = await problemOf(await answer)
    expect(problem).toMatchObject({ status: 403, code: 'sign_in_refused' })
    return problem.detail
  }

  test('in a browser that has not begun, or has begun another time', async () => {
    const mine = await begin()
    const { searchParams } = await issuer.follow(mine.location)
    await refused(edge.call('POST', '/v1/operator/oidc/answer', Object.fromEntries(searchParams), { nobody: '' }))
    await refused(answerWith(searchParams, (await begin()).set.split(';')[0] ?? ''))
    await refused(answerWith(searchParams, 'anteroom_attempt=forged'))
    expect((await answerWith(searchParams, mine.set.split(';')[0] ?? '')).status).toBe(204)
    // The code is used up.
    await refused(answerWith(searchParams, mine.set.split(';')[0] ?? ''))
  })

  test.each([
    ['another nonce', (url: URL) => url.searchParams.set('nonce', 'another')],
    ['no nonce', (url: URL) => url.searchParams.delete('nonce')],
    ['another state', (url: URL) => url.searchParams.set('state', 'another')],
    ['the challenge of another verifier', (url: URL) => url.searchParams.set('code_challenge', 'a'.repeat(43))],
  ])('for %s', async (_, change) => {
    await refused(signIn(change))
  })

  test('where the issuer is another, or says that the person refused', async () => {
    const { location, set } = await begin()
    const { searchParams } = await issuer.follow(location)
    const cookie = set.split(';')[0] ?? ''
    await refused(
      answerWith(new URLSearchParams({ ...Object.fromEntries(searchParams), iss: 'http://127.0.0.1:1' }), cookie),
    )
    const state = searchParams.get('state') ?? ''
    const iss = searchParams.get('iss') ?? ''
    await refused(answerWith(new URLSearchParams({ error: 'access_denied', state, iss }), cookie))
  })

  test('where the clocks differ, in words that say so', async () => {
    onTestFinished(() => {
      issuer.lateMs = 0
    })
    // Its ID tokens are good for an hour.
    issuer.lateMs = 3_700_000
    expect(await refused(signIn())).toContain('the clocks of')
  })

  test('from a page of another origin', async () => {
    const headers = { nobody: '', origin: 'http://evil.test' }
    for (const path of ['/v1/operator/oidc', '/v1/operator/oidc/answer'])
      expect(await problemOf(await edge.call('POST', path, {}, headers))).toMatchObject({ code: 'origin_refused' })
  })
})

test('an issuer that is not there is said to be so', async () => {
  const lost = await startEdge({ operators: operatorsOf('http://127.0.0.1:1', allow) })
  onTestFinished(() => lost.stop())
  const answer = await lost.call('POST', '/v1/operator/oidc', {}, { nobody: '' })
  expect(await problemOf(answer)).toMatchObject({ status: 502, code: 'issuer_unavailable' })
})

test('the cookie is worth nothing once the rules have changed; a link that was switched off neither', async () => {
  const value = cookieOf(await signIn()).split('=')[1] ?? ''
  const link = await edge.access.signIn(await edge.access.newSignInToken(60))
  const { store, events } = edge
  const parts = { store, events, clock: edge.clock, audit: { record: async () => {} } }
  const access = (operators: object) => createAccess({ ...parts, operators } as never)
  const { oidc } = edge.config.operators
  const same = access({ links: 'on', oidc })
  expect([await same.byCookie(value), await same.byCookie(link)]).not.toContain(undefined)
  const fewer = access({ links: 'off', oidc: { ...oidc, allow: { ...oidc?.allow, subjects: [] } } })
  expect([await fewer.byCookie(value), await fewer.byCookie(link)]).toEqual([undefined, undefined])
  await expect(fewer.signIn(await edge.access.newSignInToken(60))).rejects.toMatchObject({ code: 'entry_invalid' })
})

test('without a configuration there is no such way in', async () => {
  const plain = await startEdge()
  onTestFinished(() => plain.stop())
  expect((await plain.call('POST', '/v1/operator/oidc', {}, { nobody: '' })).status).toBe(404)
})
