import { expect, onTestFinished, test } from 'vitest'
import { type Edge, startEdge } from './test/running-edge.ts'

const frame_ancestors = ['https://app.example.com', 'http://localhost:3000']

async function edgeOf(options: Parameters<typeof startEdge>[0]): Promise<Edge> {
  const edge = await startEdge(options)
  onTestFinished(() => edge.stop())
  return edge
}

const get = (edge: Edge, url: string, host = 'localhost') => edge.http.app.inject({ url, headers: { host } })

test('the hosted page can be shown by those who are named, and every other page by nobody', async () => {
  const edge = await edgeOf({ hostedPage: { frame_ancestors } })
  const { headers } = await get(edge, '/connect/ses_x')
  expect(headers['content-security-policy']).toContain(`frame-ancestors ${frame_ancestors.join(' ')};`)
  expect(headers['x-frame-options']).toBeUndefined()
  for (const url of ['/', '/sign-in', '/v1/sessions', '/errors']) {
    const other = await get(edge, url)
    expect(other.headers['content-security-policy']).toContain("frame-ancestors 'none';")
    expect(other.headers['x-frame-options']).toBe('DENY')
  }
})

test('unless somebody is named, nobody shows it', async () => {
  const { headers } = await get(await edgeOf({}), '/connect/ses_x')
  expect(headers['content-security-policy']).toContain("frame-ancestors 'none';")
  expect(headers['x-frame-options']).toBe('DENY')
})

test.each([
  ['localhost:4400', 'ws://localhost:4400'],
  ['anteroom.example', 'wss://anteroom.example'],
  ['evil.test; script-src *', "'self'"],
])('pages at %s reach their own host alone: %s', async (host, source) => {
  const edge = await edgeOf({ publicUrl: 'https://anteroom.example' })
  const { headers } = await get(edge, '/', host)
  expect(headers['content-security-policy']).toContain(`connect-src 'self' ${source};`)
})

/** The account owner's cookie, as a browser gets it at this host. */
async function visit(edge: Edge, host: string) {
  const { id, secret } = await edge.newSession()
  const url = `/v1/sessions/${id}/entry`
  const { cookies } = await edge.http.app.inject({ method: 'POST', url, headers: { host }, payload: { secret } })
  return { id, cookie: cookies[0] }
}

test('over https the cookie is of this host alone; in frames of other sites it is partitioned', async () => {
  const publicUrl = 'https://anteroom.example'
  const alone = await visit(await edgeOf({ publicUrl }), 'anteroom.example')
  const strict = { path: '/', httpOnly: true, secure: true, sameSite: 'Strict', expires: expect.any(Date) }
  expect(alone.cookie).toMatchObject({ name: `__Host-anteroom_visit_${alone.id}`, ...strict })
  expect(alone.cookie).not.toHaveProperty('domain')
  const framed = await edgeOf({ publicUrl, hostedPage: { frame_ancestors } })
  const inFrame = await visit(framed, 'anteroom.example')
  expect(inFrame.cookie).toMatchObject({ ...strict, sameSite: 'None', partitioned: true })
  expect((await visit(framed, 'localhost')).cookie).toMatchObject({ sameSite: 'Strict' })
})

test('over https a cookie without the prefix, which a neighbour could have planted, is nobody', async () => {
  const edge = await edgeOf({ publicUrl: 'https://anteroom.example' })
  const [operator, session] = [await edge.operatorVisit(), await edge.newSession()]
  const visitor = await edge.visitorOf(session)
  const status = async (url: string, cookie: string) =>
    (await edge.http.app.inject({ url, headers: { host: 'anteroom.example', cookie } })).statusCode
  expect(await status('/v1/operator', operator)).toBe(401)
  expect(await status('/v1/operator', `__Host-${operator}`)).toBe(200)
  expect(await status(`/v1/sessions/${session.id}`, visitor)).toBe(401)
  expect(await status(`/v1/sessions/${session.id}`, `__Host-${visitor}`)).toBe(200)
})
