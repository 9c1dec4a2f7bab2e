import { once } from 'node:events'
import type { ApiKey, ApiKeyWithSecret, Ticket } from '@anteroom/contract'
import { keyScopes, liveCloseCodes } from '@anteroom/contract'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { shakeHands, startMachine } from '../live/live.fixture.ts'
import { linesOf, nextLine } from './test/read-events.ts'
import { problemOf, startEdge } from './test/running-edge.ts'

const edge = await startEdge()
afterAll(() => edge.stop())

const by = (secret: string) => ({ authorization: `Bearer ${secret}` })
const json = async <T>(response: Promise<Response>): Promise<T> => (await (await response).json()) as T
const create = (...scopes: string[]) => json<ApiKeyWithSecret>(edge.call('POST', '/v1/keys', { name: 'a key', scopes }))

test('a key is made, seen, rotated and revoked; its secret is in the two answers that make one, and nobody may keep those', async () => {
  const made = await edge.call('POST', '/v1/keys', { name: ' backend ', scopes: ['sessions:read'] })
  expect([made.status, made.headers.get('cache-control')]).toEqual([201, 'no-store'])
  const { secret, ...key } = (await made.json()) as ApiKeyWithSecret
  expect(made.headers.get('location')).toBe(`/v1/keys/${key.id}`)
  expect(key).toMatchObject({ name: 'backend', status: 'active', in_file: false })
  expect((await edge.call('GET', '/v1/sessions', undefined, by(secret))).status).toBe(200)
  const { last_used_at, ...seen } = await json<ApiKey>(edge.call('GET', `/v1/keys/${key.id}`))
  expect({ ...seen, last_used_at: null }).toEqual(key)
  expect(last_used_at).not.toBeNull()

  const turned = await edge.call('POST', `/v1/keys/${key.id}/rotate`, { overlap_seconds: 60 })
  expect([turned.status, turned.headers.get('cache-control')]).toEqual([200, 'no-store'])
  const rotated = (await turned.json()) as ApiKeyWithSecret
  expect(rotated.id).toBe(key.id)
  for (const one of [secret, rotated.secret])
    expect((await edge.call('GET', '/v1/sessions', undefined, by(one))).status).toBe(200)
  expect(await (await edge.call('GET', '/v1/keys')).text()).not.toContain('ark_')

  const revoke = () => edge.call('DELETE', `/v1/keys/${key.id}`)
  expect([(await revoke()).status, (await revoke()).status]).toEqual([204, 204])
  for (const one of [secret, rotated.secret])
    expect(await problemOf(await edge.call('GET', '/v1/sessions', undefined, by(one)))).toMatchObject({
      ...{ status: 401, code: 'unauthenticated' },
    })
  expect(await problemOf(await edge.call('POST', `/v1/keys/${key.id}/rotate`))).toMatchObject({
    ...{ status: 409, code: 'key_unchangeable', detail: 'It is revoked.' },
  })
})

test("the operator's key in its file is seen, and neither rotated nor revoked", async () => {
  const { items } = await json<{ items: ApiKey[] }>(edge.call('GET', '/v1/keys?limit=100'))
  const [operator] = items.filter(({ in_file }) => in_file)
  expect(operator).toMatchObject({ scopes: keyScopes, status: 'active' })
  for (const [method, path] of [
    ['POST', `/v1/keys/${operator?.id}/rotate`],
    ['DELETE', `/v1/keys/${operator?.id}`],
  ] as const)
    expect(await problemOf(await edge.call(method, path))).toMatchObject({ code: 'key_unchangeable' })
})

test.each([
  ['no name', { scopes: ['operator'] }, '/name'],
  ['a name of blanks', { name: '  ', scopes: ['operator'] }, '/name'],
  ['a name that is too long', { name: 'x'.repeat(101), scopes: ['operator'] }, '/name'],
  ['a control character', { name: 'a\u0007', scopes: ['operator'] }, '/name'],
  ['no scopes', { name: 'a' }, '/scopes'],
  ['an empty list of scopes', { name: 'a', scopes: [] }, '/scopes'],
  ['a scope that there is not', { name: 'a', scopes: ['operator', 'root'] }, '/scopes/1'],
  ['a life of no time', { name: 'a', scopes: ['operator'], expires_in_seconds: 0 }, '/expires_in_seconds'],
  ['a life of too much', { name: 'a', scopes: ['operator'], expires_in_seconds: 1e12 }, '/expires_in_seconds'],
  ['a secret of their own', { name: 'a', scopes: ['operator'], secret: 'mine' }, '/secret'],
])('a key with %s is refused, and the field is named', async (_what, body, pointer) => {
  const answer = await problemOf(await edge.call('POST', '/v1/keys', body))
  expect(answer).toMatchObject({ status: 400, code: 'invalid_request' })
  expect(new Set(answer.fields?.map((field) => field.pointer))).toEqual(new Set([pointer]))
})

test('an overlap of more than a week is refused, and the field is named', async () => {
  const { id } = await create('operator')
  const answer = await problemOf(await edge.call('POST', `/v1/keys/${id}/rotate`, { overlap_seconds: 604_801 }))
  expect(answer.fields).toMatchObject([{ pointer: '/overlap_seconds' }])
})

test('in the dashboard nobody makes a key that reads credentials, which the dashboard cannot', async () => {
  const headers = { cookie: await edge.operatorVisit(), 'x-anteroom-request': '1' }
  const make = (scopes: string[]) => edge.call('POST', '/v1/keys', { name: 'a', scopes }, headers)
  expect(await problemOf(await make(['credentials:read']))).toMatchObject({ status: 403, code: 'forbidden' })
  expect((await make(['sessions:read'])).status).toBe(201)
})

describe('what a key has open', () => {
  test('as a stream of events ends when the key is revoked; that of another stays', async () => {
    const session = await edge.newSession()
    const [mine, other] = [await create('sessions:read'), await create('sessions:read')]
    const open = async (secret: string) => {
      const lines = linesOf(await edge.call('GET', `/v1/sessions/${session.id}/events`, undefined, by(secret)))
      await nextLine(lines, (line) => line.startsWith('data: '))
      return lines
    }
    const [ended, going] = [await open(mine.secret), await open(other.secret)]
    await edge.call('DELETE', `/v1/keys/${mine.id}`)
    await expect(nextLine(ended, (line) => line.startsWith('data: '))).rejects.toThrow('the stream ended')
    await edge.call('POST', `/v1/sessions/${session.id}/extend`, { idle_only: true })
    expect(await nextLine(going, (line) => line.startsWith('data: '))).toContain('extended')
    await going.return?.()
  })

  test('as a live view is closed when the key is revoked; a ticket that it was given admits nobody any more', async () => {
    const machine = await startMachine(async (socket) => {
      await shakeHands(socket)
    })
    onTestFinished(() => machine.close())
    const session = await edge.newSession()
    await edge.makeReady(session.id, machine.endpoint)
    const key = await create('sessions:write')
    const ticket = async (headers: Record<string, string>) =>
      (await json<Ticket>(edge.call('POST', `/v1/sessions/${session.id}/tickets`, { access: 'view' }, headers))).ticket
    const address = (one: string) => `${edge.url.replace('http', 'ws')}/v1/sessions/${session.id}/live?ticket=${one}`
    const [used, unused, others] = [
      await ticket(by(key.secret)),
      await ticket(by(key.secret)),
      await ticket(by(edge.operatorKey)),
    ]
    const [socket, other] = [used, others].map((one) => new WebSocket(address(one), 'binary')) as [WebSocket, WebSocket]
    await Promise.all([once(socket, 'message'), once(other, 'message')])
    const closed = once(socket, 'close')
    await edge.call('DELETE', `/v1/keys/${key.id}`)
    expect((await closed)[0]).toBe(liveCloseCodes.ticket_revoked)
    expect(other.readyState).toBe(WebSocket.OPEN)
    const [request, response] = await once(new WebSocket(address(unused), 'binary'), 'unexpected-response')
    expect(JSON.parse((await response.toArray()).join(''))).toMatchObject({ code: 'ticket_invalid' })
    request.destroy()
    other.terminate()
  })
})
