import { afterAll, describe, expect, test } from 'vitest'
import { problemOf, startEdge } from './test/running-edge.ts'

const edge = await startEdge({ hostedPage: { return_origins: ['https://app.example.com', 'http://localhost:3000'] } })
afterAll(() => edge.stop())

const ask = (return_url: string, path = '/v1/sessions') =>
  edge.call('POST', path, { ...(path === '/v1/sessions' && { provider: 'demo', subject: 'ada' }), return_url })

test.each([
  ['https://app.example.com', 'https://app.example.com/'],
  ['https://app.example.com/done?user=1#top', 'https://app.example.com/done?user=1#top'],
  ['HTTPS://APP.EXAMPLE.COM:443/a/../b', 'https://app.example.com/b'],
  ['http://localhost:3000/', 'http://localhost:3000/'],
])('%s is taken, as browsers write it: %s', async (given, kept) => {
  const answer = await ask(given)
  expect(answer.status).toBe(201)
  expect(await answer.json()).toMatchObject({ return_url: kept })
})

describe('is refused', () => {
  test.each([
    ['https://evil.example/', 'leads to https://evil.example,'],
    ['http://app.example.com/', 'leads to http://app.example.com,'],
    ['https://app.example.com:8443/', 'leads to https://app.example.com:8443,'],
    ['http://localhost/', 'leads to http://localhost,'],
    ['https://me:pw@app.example.com/', 'must not hold a name or password'],
  ])('%s: %s', async (given, why) => {
    const problem = await problemOf(await ask(given))
    expect(problem).toMatchObject({ status: 422, code: 'return_url_refused' })
    expect(problem.fields).toEqual([{ pointer: '/return_url', message: expect.stringContaining(why) }])
  })

  test('of a new sign-in for a connection, too', async () => {
    const { connection_id } = await edge.newSession()
    const answer = await ask('https://evil.example/', `/v1/connections/${connection_id}/reauth`)
    expect(await problemOf(answer)).toMatchObject({ code: 'return_url_refused' })
  })
})

test('one that was taken before the list became shorter is not shown to the person', async () => {
  const session = await edge.newSession()
  await edge.store.db
    .updateTable('sessions')
    .set({ return_url: 'https://gone.example/' })
    .where('id', '=', session.id)
    .execute()
  const cookie = await edge.visitorOf(session)
  const page = await edge.call('GET', `/v1/sessions/${session.id}/page`, undefined, { cookie })
  expect(await page.json()).toMatchObject({ session: { return_url: null } })
})
