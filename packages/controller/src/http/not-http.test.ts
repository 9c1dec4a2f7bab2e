import { problem } from '@anteroom/contract'
import { afterAll, describe, expect, test } from 'vitest'
import { exchange } from '../../test/fuzz/wire.ts'
import { startEdge } from './test/running-edge.ts'

const edge = await startEdge()
afterAll(() => edge.stop())

const port = Number(new URL(edge.url).port)
const send = (text: string) => exchange(port, Buffer.from(text, 'latin1'))
const host = `Host: 127.0.0.1:${port}\r\nConnection: close\r\n`
const handshake = `Host: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`

describe('bytes that are no request are told so', () => {
  test.each([
    ['a TLS greeting', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['a version that does not exist', `GET /healthz HTTP/9.9\r\n${host}\r\n`],
    ['HTTP/2 without its negotiation', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['HTTP/0.9', 'GET /healthz\r\n\r\n'],
    ['a method that does not exist', `FOO /healthz HTTP/1.1\r\n${host}\r\n`],
    ['an address with a control character', `GET /heal\x01thz HTTP/1.1\r\n${host}\r\n`],
    ['a header without a colon', `GET /healthz HTTP/1.1\r\n${host}nonsense\r\n\r\n`],
    ['a header whose name has a space', `GET /healthz HTTP/1.1\r\n${host}Bad Name: x\r\n\r\n`],
    ['a header with NUL', `GET /healthz HTTP/1.1\r\n${host}X-Nul: a\0b\r\n\r\n`],
    ['headers of 20 KB', `GET /healthz HTTP/1.1\r\n${host}X-Big: ${'x'.repeat(20_000)}\r\n\r\n`],
    ['a negative length', `POST /v1/sessions HTTP/1.1\r\n${host}Content-Length: -1\r\n\r\n`],
    ['two lengths', `POST /v1/sessions HTTP/1.1\r\n${host}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}`],
    [
      'a length and chunks',
      `POST /v1/sessions HTTP/1.1\r\n${host}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['no Host', 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n'],
  ])('%s', async (_what, text) => {
    const answer = await send(text)
    if (typeof answer === 'string') throw new Error(answer)
    expect(answer.status).toBe(400)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(problem.parse(JSON.parse(answer.body))).toMatchObject({ status: 400, code: 'invalid_request' })
  })
})

test('an expectation that nobody knows is passed over', async () => {
  expect(await send(`GET /healthz HTTP/1.1\r\n${host}Expect: the-moon\r\n\r\n`)).toMatchObject({ status: 200 })
})

test('a handshake at an address that is none is refused, and its socket closed', async () => {
  expect(await send(`GET /v1/% HTTP/1.1\r\n${handshake}\r\n`)).toMatchObject({ status: 400 })
})

test('a handshake with another method is a request like any other, not a socket that waits for its body', async () => {
  const post = `POST /v1/operator/sign-in HTTP/1.1\r\n${handshake}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`
  expect(await send(post)).toMatchObject({ status: 400, body: expect.stringContaining('"/token"') })
})
