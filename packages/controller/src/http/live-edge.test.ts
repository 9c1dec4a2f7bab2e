import { once } from 'node:events'
import { connect } from 'node:net'
import { newToken, silentLog } from '@anteroom/base'
import { liveCloseCodes, type Ticket } from '@anteroom/contract'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { ManualClock, shakeHands, startMachine, type TestMachine } from '../live/live.fixture.ts'
import { linesOf, nextLine } from './test/read-events.ts'
import { type Edge, problemOf, startEdge } from './test/running-edge.ts'

let edge: Edge
let machine: TestMachine
const logged: string[] = []

beforeEach(async () => {
  logged.length = 0
  const note = (fields: object, message: string): void => void logged.push(JSON.stringify({ ...fields, message }))
  const log = { debug: note, info: note, warn: note, error: note, child: () => log }
  edge = await startEdge({ log })
  machine = await startMachine(async (socket) => {
    await shakeHands(socket)
  })
})
afterEach(async () => {
  await edge.stop()
  await machine.close()
})

async function readySession(): Promise<string> {
  const { id } = await edge.newSession()
  await edge.makeReady(id, machine.endpoint)
  return id
}

const ticketFor = async (id: string): Promise<Ticket> =>
  (await (await edge.call('POST', `/v1/sessions/${id}/tickets`)).json()) as Ticket

const addressOf = (id: string, ticket: string): string =>
  `${edge.url.replace('http', 'ws')}/v1/sessions/${id}/live?ticket=${ticket}`

/** The problem that an upgrade was refused with. */
async function refusal(address: string, headers: Record<string, string> = {}): Promise<unknown> {
  const socket = new WebSocket(address, 'binary', { headers })
  const [request, response] = await once(socket, 'unexpected-response')
  const answer = (await response.toArray()).join('')
  request.destroy()
  return JSON.parse(answer)
}

async function open(id: string): Promise<WebSocket> {
  const socket = new WebSocket(addressOf(id, (await ticketFor(id)).ticket), 'binary', { origin: edge.url })
  await once(socket, 'message')
  return socket
}

const closing = async (socket: WebSocket): Promise<number> => (await once(socket, 'close'))[0]

test('a ticket opens the screen once', async () => {
  const id = await readySession()
  const { ticket, access } = await ticketFor(id)
  expect(access).toBe('control')
  const socket = new WebSocket(addressOf(id, ticket), ['base64', 'binary'], { origin: edge.url })
  const [greeting] = await once(socket, 'message')
  expect(String(greeting)).toBe('RFB 003.008\n')
  expect(socket.protocol).toBe('binary')
  expect(await refusal(addressOf(id, ticket))).toMatchObject({ status: 403, code: 'ticket_invalid' })
  expect(logged.join('\n')).toContain('a live view opened')
  expect(logged.join('\n')).not.toContain(ticket)
  socket.terminate()
})

test('what may not look is told so before the upgrade', async () => {
  const id = await readySession()
  const { ticket } = await ticketFor(id)
  expect(await refusal(addressOf(id, newToken()))).toMatchObject({ code: 'ticket_invalid' })
  expect(await refusal(addressOf(id, ''))).toMatchObject({ code: 'invalid_request', fields: [{ pointer: 'ticket' }] })
  expect(await refusal(addressOf(await readySession(), ticket))).toMatchObject({ code: 'ticket_invalid' })
  expect(await refusal(addressOf(id, ticket), { origin: 'http://evil.test' })).toMatchObject({ code: 'origin_refused' })
  expect(await refusal(addressOf(id, ticket), { host: 'evil.test' })).toMatchObject({ code: 'origin_refused' })
  expect(await refusal(`${edge.url.replace('http', 'ws')}/healthz`)).toMatchObject({ code: 'invalid_request' })
  const plain = await edge.call('GET', `/v1/sessions/${id}/live?ticket=${ticket}`)
  expect(await problemOf(plain)).toMatchObject({ status: 400, code: 'invalid_request' })
})

test('other upgrades are ignored, as RFC 9110 allows', async () => {
  const socket = connect(Number(new URL(edge.url).port), '127.0.0.1')
  socket.end('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n')
  const answer = (await socket.toArray()).join('')
  expect(answer).toMatch(/^HTTP\/1\.1 200 /)
})

test('there is no ticket for a screen that is not there yet', async () => {
  const { id } = await edge.newSession()
  const answer = await problemOf(await edge.call('POST', `/v1/sessions/${id}/tickets`))
  expect(answer).toMatchObject({ status: 409, code: 'session_not_ready' })
})

test('revoking closes the sockets and the tickets', async () => {
  const id = await readySession()
  const socket = await open(id)
  const { ticket } = await ticketFor(id)
  const closed = closing(socket)
  expect((await edge.call('DELETE', `/v1/sessions/${id}/tickets`)).status).toBe(204)
  expect(await closed).toBe(liveCloseCodes.ticket_revoked)
  expect(await refusal(addressOf(id, ticket))).toMatchObject({ code: 'ticket_invalid' })
})

test('events come from the beginning, as they happen, and after the last one seen', async () => {
  const { id } = await edge.newSession()
  const isEvent = (line: string): boolean => line.startsWith('data: ')
  const response = await edge.call('GET', `/v1/sessions/${id}/events`)
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
  const lines = linesOf(response)
  const idLine = await nextLine(lines, (line) => line.startsWith('id: '))
  expect(await nextLine(lines, (line) => line.startsWith('event: '))).toBe('event: session')
  expect(JSON.parse((await nextLine(lines, isEvent)).slice(6))).toMatchObject({ session_id: id, type: 'created' })
  await edge.makeReady(id, machine.endpoint)
  const ready = { session_id: id, type: 'status', data: { status: 'ready' } }
  expect(JSON.parse((await nextLine(lines, isEvent)).slice(6))).toMatchObject(ready)

  const headers = { authorization: `Bearer ${edge.operatorKey}`, 'last-event-id': idLine.slice(4) }
  const resumed = linesOf(await edge.call('GET', `/v1/sessions/${id}/events`, undefined, headers))
  expect(JSON.parse((await nextLine(resumed, isEvent)).slice(6))).toMatchObject(ready)
  await lines.return?.()
  await resumed.return?.()
})

test('a silent stream is kept alive', async () => {
  const clock = new ManualClock()
  const silent = await startEdge({ clock, log: silentLog })
  const { id } = await silent.newSession()
  const lines = linesOf(await silent.call('GET', `/v1/sessions/${id}/events`))
  await nextLine(lines, (line) => line.startsWith('data: '))
  const comment = nextLine(lines, (line) => line.startsWith(':'))
  await clock.pass(20)
  expect(await comment).toBe(': still here')
  await lines.return?.()
  const stopped = silent.stop()
  await clock.pass(10)
  await stopped
})

test('stopping tells viewers why and ends streams, also those that do not listen', async () => {
  const id = await readySession()
  const lines = linesOf(await edge.call('GET', `/v1/sessions/${id}/events`))
  await nextLine(lines, (line) => line.startsWith('data: '))
  const viewer = await open(id)
  const deaf = await open(id)
  deaf.pause()
  const closed = closing(viewer)
  await edge.http.close()
  expect(await closed).toBe(liveCloseCodes.controller_stopping)
  await expect(nextLine(lines, () => false)).rejects.toThrow('the stream ended')
  await expect(fetch(`${edge.url}/healthz`)).rejects.toThrow()
  deaf.terminate()
})

test('a request that arrives while it stops is told to come back', async () => {
  const socket = connect(Number(new URL(edge.url).port), '127.0.0.1')
  socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n')
  await once(edge.http.app.server, 'connection')
  const closed = edge.http.close()
  socket.write('Connection: close\r\n\r\n')
  const answer = (await socket.toArray()).join('')
  expect(answer).toMatch(/^HTTP\/1\.1 503 .*\r\nretry-after: 5\r\n/is)
  expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({ code: 'shutting_down' })
  await closed
})
