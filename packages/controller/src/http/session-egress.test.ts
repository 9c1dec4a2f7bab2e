import { afterAll, expect, test } from 'vitest'
import { problemOf, startEdge } from './test/running-edge.ts'

const edge = await startEdge()
afterAll(() => edge.stop())

test('whoever may read sessions sees where the machine of one went, and of no other', async () => {
  const [session, other] = [await edge.newSession(), await edge.newSession()]
  const counts = { connections: 3, bytes_up: 10, bytes_down: 20_000, first_at: 0, last_at: 60_000 }
  await edge.store.db
    .insertInto('egress_hosts')
    .values([
      { session_id: session.id, host: 'idp.demo.test', port: 443, result: 'connected', reason: null, ...counts },
      { session_id: session.id, host: '', port: 0, result: 'refused', reason: 'not allowed', ...counts, first_at: 9 },
    ])
    .execute()
  const authorization = `Bearer ${await edge.key('sessions:read')}`
  const ask = (id: string) => edge.call('GET', `/v1/sessions/${id}/egress`, undefined, { authorization })
  const times = { first_at: '1970-01-01T00:00:00.000Z', last_at: '1970-01-01T00:01:00.000Z' }
  expect(await (await ask(session.id)).json()).toEqual({
    session_id: session.id,
    hosts: [
      { host: 'idp.demo.test', port: 443, result: 'connected', reason: null, ...counts, ...times },
      {
        ...{ host: null, port: null, result: 'refused', reason: 'not allowed', ...counts, ...times },
        first_at: '1970-01-01T00:00:00.009Z',
      },
    ],
  })
  expect(await (await ask(other.id)).json()).toEqual({ session_id: other.id, hosts: [] })
  expect((await problemOf(await ask(`ses_${'a'.repeat(24)}`))).code).toBe('not_found')
})

test('the account owner is not told: their cookie opens their session alone, and not this', async () => {
  const session = await edge.newSession()
  const cookie = await edge.visitorOf(session)
  expect((await edge.call('GET', `/v1/sessions/${session.id}/egress`, undefined, { cookie })).status).toBe(403)
})
