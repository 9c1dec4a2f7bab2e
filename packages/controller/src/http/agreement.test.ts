import { newId } from '@anteroom/base'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Edge, problemOf, startEdge } from './test/running-edge.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())

const endpoint = { ip: '127.0.0.1', port: 1, password: '' }

/** A session that is ready, and requests of the account owner's page to it. */
async function readyVisit() {
  const session = await edge.newSession()
  await edge.makeReady(session.id, endpoint)
  const headers = { cookie: await edge.visitorOf(session), 'x-anteroom-request': '1', origin: edge.url }
  const path = `/v1/sessions/${session.id}`
  return {
    id: session.id,
    post: (what: string) => edge.call('POST', `${path}/${what}`, undefined, headers),
    page: async () => (await (await edge.call('GET', `${path}/page`, undefined, headers)).json()) as object,
  }
}

test('before the account owner agrees their page gets no screen and takes nothing; then both', async () => {
  const { id, post, page } = await readyVisit()
  expect(await page()).toMatchObject({ agreed: false })
  for (const what of ['tickets', 'capture'])
    expect(await problemOf(await post(what))).toMatchObject({ status: 409, code: 'not_agreed' })
  expect([(await post('agree')).status, (await post('agree')).status]).toEqual([204, 204])
  expect(await page()).toMatchObject({ agreed: true })
  expect([(await post('tickets')).status, (await post('capture')).status]).toEqual([201, 200])
  const told = (await edge.events.all(id)).filter(({ type }) => type === 'agreed')
  expect(told.map(({ data }) => data)).toEqual([{ by: `visitor ${id}` }])
})

test('a browser that is the operator’s too gets no screen before it agrees either', async () => {
  const session = await edge.newSession()
  await edge.makeReady(session.id, endpoint)
  const cookie = `${await edge.operatorVisit()}; ${await edge.visitorOf(session)}`
  const headers = { cookie, 'x-anteroom-request': '1', origin: edge.url }
  const post = (what: string) => edge.call('POST', `/v1/sessions/${session.id}/${what}`, undefined, headers)
  expect(await problemOf(await post('tickets'))).toMatchObject({ status: 409, code: 'not_agreed' })
  const isYours = async (cookie: string): Promise<boolean> => {
    const page = await edge.call('GET', `/v1/sessions/${session.id}/page`, undefined, { ...headers, cookie })
    return ((await page.json()) as { is_yours: boolean }).is_yours
  }
  expect([await isYours(cookie), await isYours(await edge.operatorVisit())]).toEqual([true, false])
  await post('agree')
  expect((await post('tickets')).status).toBe(201)
})

test('an integrator whose own page told them says so with a key', async () => {
  const { id, page } = await readyVisit()
  expect((await edge.call('POST', `/v1/sessions/${id}/agree`)).status).toBe(204)
  expect(await page()).toMatchObject({ agreed: true })
})

test('whoever agrees at the last moment has a minute to see the screen', async () => {
  const { id, post } = await readyVisit()
  const table = edge.store.db.updateTable('sessions').where('id', '=', id)
  await table.set({ first_connect_expires_at: Date.now() + 1000 }).execute()
  await post('agree')
  const { first_connect_expires_at } = await edge.sessions.get(id)
  expect(Date.parse(first_connect_expires_at ?? '')).toBeGreaterThan(Date.now() + 50_000)
})

test('nobody agrees to what is over, or is not', async () => {
  const { id, post } = await readyVisit()
  await edge.sessions.requestEnd(id, 'cancelled')
  expect(await problemOf(await post('agree'))).toMatchObject({ code: 'session_over' })
  const nothing = await edge.call('POST', `/v1/sessions/${newId('session')}/agree`)
  expect(await problemOf(nothing)).toMatchObject({ code: 'not_found' })
})

test('who asks is the name of the key, unless the operator says it in words; the key in the file has none', async () => {
  const askedBy = async (of: Edge, key?: string) => {
    const headers = key === undefined ? {} : { authorization: `Bearer ${key}` }
    const created = await of.call('POST', '/v1/sessions', { provider: 'demo', subject: 'ada' }, headers)
    const { id } = (await created.json()) as { id: string }
    const page = await of.call('GET', `/v1/sessions/${id}/page`)
    return ((await page.json()) as { asked_by: string | null }).asked_by
  }
  expect(await askedBy(edge)).toBeNull()
  expect(await askedBy(edge, await edge.key('sessions:write'))).toBe('test')
  const named = await startEdge({ hostedPage: { display_name: 'Example Ltd' } })
  expect(await askedBy(named, await named.key('sessions:write'))).toBe('Example Ltd')
  await named.stop()
})
