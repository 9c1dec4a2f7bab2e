import { createHash, randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { Scope, silentLog } from '@anteroom/base'
import { providerDefinition } from '@anteroom/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Demo, startDemo } from './demo.ts'

const scope = Scope.root('demo test')
let demo: Demo
beforeAll(async () => {
  demo = await startDemo({ idpPort: 0, sitePort: 0, log: silentLog }, scope)
})
afterAll(() => demo.close())

interface Answer {
  readonly status: number
  readonly location: string
  readonly text: string
}

/** A browser as far as this test needs one: keeps cookies, follows nothing. The host name leads to loopback. */
function newBrowser() {
  const cookies = new Map<string, string>()
  return async (url: string, options: { form?: Record<string, string>; bearer?: string; host?: string } = {}) => {
    const { hostname, port, pathname, search } = new URL(url)
    const body = options.form && new URLSearchParams(options.form).toString()
    return await new Promise<Answer>((resolve, reject) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port,
          path: pathname + search,
          method: body === undefined ? 'GET' : 'POST',
          headers: {
            host: options.host ?? `${hostname}:${port}`,
            cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
            ...(options.bearer && { authorization: `Bearer ${options.bearer}` }),
            ...(body !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
          },
        },
        async (response) => {
          for (const line of response.headers['set-cookie'] ?? []) {
            const [pair = ''] = line.split(';')
            const at = pair.indexOf('=')
            if (at < pair.length - 1) cookies.set(pair.slice(0, at), pair.slice(at + 1))
            else cookies.delete(pair.slice(0, at))
          }
          let text = ''
          for await (const chunk of response.setEncoding('utf8')) text += chunk
          const location = response.headers.location ? new URL(response.headers.location, url).href : ''
          resolve({ status: response.statusCode ?? 0, location, text })
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
  }
}

const redirectUri = 'http://127.0.0.1:39871/callback'
const verifier = randomBytes(32).toString('base64url')

const authorizationUrl = (extra: Record<string, string> = {}): string => {
  const url = new URL('/auth', demo.urls.issuer)
  url.search = new URLSearchParams({
    client_id: 'anteroom-demo',
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'openid profile offline_access',
    prompt: 'consent',
    state: 'a state',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...extra,
  }).toString()
  return url.href
}

/** From the client's first redirect to the consent page. */
async function logIn(browse: ReturnType<typeof newBrowser>): Promise<string> {
  const login = (await browse(authorizationUrl())).location
  const answered = await browse(`${login}/login`, { form: { name: 'ada', password: 'lovelace' } })
  return (await browse(answered.location)).location
}

describe('identity provider', () => {
  test('signs a native client in, on a loopback port of its choice, and gives it tokens that last', async () => {
    const browse = newBrowser()
    const consent = await logIn(browse)
    expect((await browse(consent)).text).toContain('Ada Lovelace')
    const allowed = await browse(`${consent}/consent`, { form: {} })
    const callback = new URL((await browse(allowed.location)).location)
    expect(callback.origin + callback.pathname).toBe(redirectUri)
    expect(callback.searchParams.get('state')).toBe('a state')

    const exchange = (form: Record<string, string>) =>
      browse(`${demo.urls.issuer}/token`, { form: { client_id: 'anteroom-demo', ...form } })
    const code = callback.searchParams.get('code') ?? ''
    const codeForm = { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier }
    const tokens = JSON.parse((await exchange(codeForm)).text)
    const user = await browse(`${demo.urls.issuer}/me`, { bearer: tokens.access_token })
    expect(JSON.parse(user.text)).toEqual({ sub: 'ada', name: 'Ada Lovelace', preferred_username: 'ada' })

    const refreshed = await exchange({ grant_type: 'refresh_token', refresh_token: tokens.refresh_token })
    const newer = JSON.parse(refreshed.text)
    expect((await browse(`${demo.urls.issuer}/me`, { bearer: newer.access_token })).status).toBe(200)

    // A code that comes twice was stolen: everything that it gave ends (RFC 6749, section 4.1.2).
    expect((await exchange(codeForm)).status).toBe(400)
    expect((await browse(`${demo.urls.issuer}/me`, { bearer: newer.access_token })).status).toBe(401)
  })

  test('a refusal goes back to the client as access_denied', async () => {
    const browse = newBrowser()
    const consent = await logIn(browse)
    const refused = await browse(`${consent}/deny`, { form: {} })
    const callback = new URL((await browse(refused.location)).location)
    expect(callback.searchParams.get('error')).toBe('access_denied')
  })

  test('a wrong password is told, and what was typed is escaped', async () => {
    const browse = newBrowser()
    const login = (await browse(authorizationUrl())).location
    const answer = await browse(`${login}/login`, { form: { name: '"><b>ada', password: 'wrong' } })
    expect(answer.status).toBe(401)
    expect(answer.text).toContain('do not match')
    expect(answer.text).toContain('&quot;&gt;&lt;b&gt;ada')
  })

  test.each([
    ['a client that it does not know', { client_id: 'another' }],
    ['an address that is not loopback', { redirect_uri: 'http://example.com/callback' }],
  ])('shows %s as an error and redirects nowhere', async (_name, extra) => {
    const answer = await newBrowser()(authorizationUrl(extra))
    expect(answer.status).toBe(400)
    expect(answer.location).toBe('')
    expect(answer.text).toContain('cannot go on')
  })

  test('refuses an authorization without PKCE', async () => {
    const answer = await newBrowser()(authorizationUrl({ code_challenge: '', code_challenge_method: '' }))
    expect(new URL(answer.location).searchParams.get('error')).toBe('invalid_request')
  })

  test('an interaction of another browser is refused', async () => {
    const login = (await newBrowser()(authorizationUrl())).location
    expect((await newBrowser()(login)).status).toBe(400)
  })
})

describe('both', () => {
  test('answer for their own name only', async () => {
    const { port } = new URL(demo.urls.issuer)
    const answer = await newBrowser()(`${demo.urls.issuer}/me`, { host: `rebound.example:${port}` })
    expect(answer.status).toBe(421)
    expect((await newBrowser()(demo.urls.site, { host: '127.0.0.1' })).status).toBe(421)
  })

  test('refuse a form larger than any of theirs', async () => {
    const answer = await newBrowser()(`${demo.urls.site}/login`, { form: { name: 'a'.repeat(20_000) } })
    expect(answer.status).toBe(413)
  })

  test('have definitions that the contract accepts', () => {
    for (const definition of demo.providers) expect(providerDefinition.parse(definition)).toEqual(definition)
    expect(demo.providers.map(({ name }) => name)).toEqual(['demo', 'demo-site'])
  })

  test('a second demo takes other ports, and a port that was asked for is not swapped', async () => {
    const preferring = () => startDemo({ log: silentLog }, scope)
    const [first, second] = [await preferring(), await preferring()]
    try {
      expect(second.urls.issuer).not.toBe(first.urls.issuer)
      expect((await newBrowser()(`${second.urls.site}/login`)).status).toBe(200)
      const taken = Number(new URL(second.urls.site).port)
      await expect(startDemo({ sitePort: taken, idpPort: 0, log: silentLog }, scope)).rejects.toThrow(String(taken))
    } finally {
      await Promise.all([first.close(), second.close()])
    }
  })
})
