import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { clientFrame, FrameCounter } from './frame-counter.ts'

const closeFrame = Buffer.of(0x88, 2, 1000 >> 8, 1000 & 255)

test('counts what a WebSocket server sends, and says what it understands', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const heard = new Promise<Buffer>((resolve) => {
    server.on('connection', (socket) => {
      for (const bytes of [0, 1, 125, 126, 65_535, 65_536, 300_000]) {
        socket.send(Buffer.alloc(bytes))
        socket.ping('not to be counted')
      }
      socket.on('message', resolve)
    })
  })
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.write(
    'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  )
  client.write(clientFrame(Buffer.from('hello')))
  expect((await heard).toString()).toBe('hello')
  for (const socket of server.clients) socket.close(1000)
  let received = Buffer.alloc(0)
  for await (const chunk of client) {
    received = Buffer.concat([received, chunk])
    if (received.subarray(-4).equals(closeFrame)) break
  }
  server.close()
  const frames = received.subarray(received.indexOf('\r\n\r\n') + 4)
  const wanted = 0 + 1 + 125 + 126 + 65_535 + 65_536 + 300_000
  expect(new FrameCounter().count(frames)).toBe(wanted)
  const byteByByte = new FrameCounter()
  expect(frames.reduce((sum, byte) => sum + byteByByte.count(Buffer.of(byte)), 0)).toBe(wanted)
})
