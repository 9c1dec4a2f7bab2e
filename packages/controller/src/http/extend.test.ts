import { session as sessionSchema } from '@anteroom/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock } from '../live/live.fixture.ts'
import { type Edge, problemOf, startEdge } from './test/running-edge.ts'

const clock = new ManualClock()
let edge: Edge
beforeAll(async () => {
  edge = await startEdge({ clock })
})
afterAll(() => edge.stop())

const inSeconds = (seconds: number): string => new Date(clock.now() + seconds * 1000).toISOString()

describe('POST /v1/sessions/{id}/extend', () => {
  test('by a key: as far as the maximum, then refused with the time', async () => {
    const { id, expires_at, may_extend_until } = await edge.newSession()
    expect([expires_at, may_extend_until]).toEqual([inSeconds(900), inSeconds(3600)])
    const path = `/v1/sessions/${id}/extend`
    for (const until of [1800, 2700, 3600]) {
      const answer = await edge.call('POST', path)
      expect(answer.status).toBe(200)
      expect(sessionSchema.parse(await answer.json()).expires_at).toBe(inSeconds(until))
    }
    const refused = await problemOf(await edge.call('POST', path, {}))
    expect(refused).toMatchObject({ status: 409, code: 'extension_refused' })
    expect(refused.detail).toContain(may_extend_until)
    const { status } = await edge.call('POST', path, { idle_only: true })
    expect(status).toBe(200)
  })

  test('by the page of the account owner, that nobody is idle; nothing of it is for the page of another', async () => {
    const session = await edge.newSession()
    await edge.makeReady(session.id, { ip: '127.0.0.1', port: 1, password: '' })
    await edge.store.db
      .updateTable('sessions')
      .set({ idle_expires_at: clock.now() + 1000 })
      .execute()
    const headers = { cookie: await edge.visitorOf(session), origin: edge.url, 'x-anteroom-request': '1' }
    const answer = await edge.call('POST', `/v1/sessions/${session.id}/extend`, { idle_only: true }, headers)
    expect(sessionSchema.parse(await answer.json())).toMatchObject({
      idle_expires_at: inSeconds(300),
      expires_at: session.expires_at,
    })
    const other = await edge.newSession()
    const refused = await problemOf(await edge.call('POST', `/v1/sessions/${other.id}/extend`, {}, headers))
    expect(refused).toMatchObject({ status: 401, code: 'unauthenticated' })
  })

  test('of a session that is to end: it is over', async () => {
    const { id } = await edge.newSession()
    await edge.sessions.requestEnd(id, 'cancelled')
    const refused = await problemOf(await edge.call('POST', `/v1/sessions/${id}/extend`))
    expect(refused).toMatchObject({ status: 409, code: 'session_over' })
  })

  test('takes nothing that it does not know', async () => {
    const { id } = await edge.newSession()
    const refused = await problemOf(await edge.call('POST', `/v1/sessions/${id}/extend`, { seconds: 60 }))
    expect(refused).toMatchObject({ status: 400, fields: [expect.objectContaining({ pointer: '/seconds' })] })
  })
})

test('the page learns how long nobody may do anything', async () => {
  const { id } = await edge.newSession()
  const page = (await (await edge.call('GET', `/v1/sessions/${id}/page`)).json()) as Record<string, unknown>
  expect(page).toMatchObject({ idle_seconds: 300, server_time: inSeconds(0) })
})

test('more time than the operator allows is refused with the field and the maximum', async () => {
  const body = { provider: 'demo', subject: 'ada', timeout_seconds: 3601 }
  const refused = await problemOf(await edge.call('POST', '/v1/sessions', body))
  expect(refused).toMatchObject({
    ...{ status: 400, code: 'invalid_request' },
    fields: [{ pointer: '/timeout_seconds', message: expect.stringContaining('3600') }],
  })
})
