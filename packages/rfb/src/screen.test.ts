import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { Scope } from '@anteroom/base'
import { afterEach, describe, expect, test } from 'vitest'
import { createWebSocketStream, WebSocket, WebSocketServer } from 'ws'
import { openMachine } from './connect.ts'
import { greetClient } from './handshake.ts'
import { startServer, type TestServer } from './rfb.fixture.ts'
import { RfbViolation } from './rfb-violation.ts'
import { openScreenWithoutPassword } from './screen.ts'
import { vncAuthResponse } from './vnc-auth.ts'

const scope = Scope.root('test')
const byPlace = { width: 40, height: 30, colour: (x: number, y: number) => (x << 16) | (y << 8) | 0xc0 }
const byteByByte = (bytes: Buffer): Buffer[] => [...bytes].map((byte) => Buffer.of(byte))

let server: TestServer
afterEach(() => server?.close())

describe('a picture', () => {
  test.each([
    ['as it comes', undefined],
    ['byte by byte', byteByByte],
  ])('of the whole screen, %s', async (_, cut) => {
    server = await startServer(byPlace, cut)
    const { width, height, pixels } = await (await openMachine(server.endpoint, scope)).read(scope)
    expect([width, height, pixels.length]).toEqual([40, 30, 40 * 30 * 4])
    for (let at = 0; at < width * height; at++)
      expect(pixels.readUInt32LE(at * 4)).toBe(byPlace.colour(at % width, Math.floor(at / width)))
  })

  test('of regions, with one byte a pixel', async () => {
    server = await startServer(byPlace)
    const screen = await openMachine(server.endpoint, scope, 1)
    const regions = [
      { x: 32, y: 0, width: 2, height: 1 },
      { x: 0, y: 20, width: 1, height: 3 },
    ]
    const [first, second] = await screen.readAll(regions, scope)
    expect(first).toEqual({ ...regions[0], pixels: Buffer.of(0b11_000_001, 0b11_000_001) })
    expect(second).toEqual({ ...regions[1], pixels: Buffer.of(0b11_000_000, 0b11_000_000, 0b11_000_000) })
  })

  test('in between which the machine rings, cuts text and sets colours', async () => {
    server = await startServer(byPlace)
    const screen = await openMachine(server.endpoint, scope)
    server.answer = (_, stream) => {
      stream.write(Buffer.from([2, 3, 0, 0, 0, 0, 0, 0, 2, 104, 105, 1, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6]))
      stream.write(Buffer.from([0, 0, 0, 1, 0, 3, 0, 4, 0, 1, 0, 1, 0, 0, 0, 0, 9, 8, 7, 0]))
    }
    const { pixels } = await screen.read(scope, { x: 3, y: 4, width: 1, height: 1 })
    expect(pixels).toEqual(Buffer.of(9, 8, 7, 0))
  })

  test.each([
    ['a rectangle beyond the screen', [0, 0, 0, 1, 0, 39, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0]],
    ['another encoding', [0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 1]],
    ['an unknown message', [77]],
    ['a text of two gigabytes', [3, 0, 0, 0, 127, 255, 255, 255]],
  ])('is refused with %s, and the connection is closed', async (_, bytes) => {
    server = await startServer(byPlace)
    const screen = await openMachine(server.endpoint, scope)
    server.answer = (_, stream) => void stream.write(Buffer.from(bytes))
    await expect(screen.read(scope)).rejects.toThrow(RfbViolation)
    await scope.until(() => server.connections.size === 0 || undefined, 1)
  })

  test('is asked for on the screen only', async () => {
    server = await startServer(byPlace)
    const screen = await openMachine(server.endpoint, scope)
    await expect(screen.read(scope, { x: 39, y: 0, width: 2, height: 1 })).rejects.toThrow('not on the screen')
  })
})

test('a change is seen when the pixels differ, not when they are sent again', async () => {
  let colour = 0x112233
  server = await startServer({ width: 8, height: 8, colour: () => colour })
  const screen = await openMachine(server.endpoint, scope)
  const before = await screen.read(scope, { x: 1, y: 1, width: 2, height: 2 })
  screen.type('k')
  const now = screen.changed(before, scope)
  const asked = (): number => server.received.filter(([type, incremental]) => type === 3 && incremental === 1).length
  await scope.until(() => asked() > 3 || undefined, 1)
  colour = 0x445566
  const { pixels } = await now
  expect(pixels.toString('hex')).toBe('66554400'.repeat(4))
  expect(before.pixels.toString('hex')).toBe('33221100'.repeat(4))
})

test('keys and the mouse', async () => {
  server = await startServer(byPlace)
  const screen = await openMachine(server.endpoint, scope)
  screen.type('a\r')
  screen.click(300, 2)
  await screen.read(scope)
  const input = server.received.filter(([type]) => type === 4 || type === 5).map((message) => message.toString('hex'))
  expect(input).toEqual([
    '0401000000000061',
    '0400000000000061',
    '040100000000ff0d',
    '040000000000ff0d',
    '0500012c0002',
    '0501012c0002',
    '0500012c0002',
  ])
})

describe('the way in', () => {
  test('is the right password', async () => {
    server = await startServer(byPlace)
    await expect(openMachine({ ...server.endpoint, password: 'else' }, scope)).rejects.toThrow('refuses')
    await scope.until(() => server.connections.size === 0 || undefined, 1)
  })

  test('is a password where one is asked for', async () => {
    server = await startServer(byPlace)
    const socket = connect(server.endpoint.port, '127.0.0.1')
    await expect(openScreenWithoutPassword(socket, scope)).rejects.toThrow('without a password')
    socket.destroy()
  })

  test('is free on a WebSocket behind which somebody greets without a password', async () => {
    const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await once(sockets, 'listening')
    sockets.on('connection', async (socket) => {
      const stream = createWebSocketStream(socket)
      await greetClient(stream, scope)
      stream.write(Buffer.from([0, 2, 0, 1, ...Array(16).fill(0), 0, 0, 0, 0]))
      stream.write(Buffer.from([0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]))
    })
    const viewer = new WebSocket(`ws://127.0.0.1:${(sockets.address() as AddressInfo).port}`)
    const screen = await openScreenWithoutPassword(createWebSocketStream(viewer), scope)
    expect((await screen.read(scope)).pixels).toEqual(Buffer.of(1, 2, 3, 4, 5, 6, 7, 8))
    screen.close()
    sockets.close()
    await once(sockets, 'close')
  })

  test('is not a screen without pixels', async () => {
    server = await startServer({ ...byPlace, width: 0 })
    await expect(openMachine(server.endpoint, scope)).rejects.toThrow('a screen of 0')
  })
})

test('the answer to a challenge is that of vncpasswd', () => {
  const fixedKey = Buffer.from([23, 82, 107, 6, 35, 78, 88, 7]).toString('latin1')
  // What every VNC password file that holds "password" holds.
  expect(vncAuthResponse(Buffer.from('password'), fixedKey).toString('hex')).toBe('dbd83cfd727a1458')
})
