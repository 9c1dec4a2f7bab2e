/** The gateway against the real server of the golden image, with pixels painted by a real X client. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Scope } from '@anteroom/base'
import { liveCloseCodes } from '@anteroom/contract'
import { vncAuthResponse } from '@anteroom/rfb'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { password, reader, startGateway, version } from './live.fixture.ts'
import type { RfbEndpoint } from './live.ts'

const sessionId = `ses_${'a'.repeat(24)}`
const scope = Scope.root('test')
let directory: string
let server: ChildProcess
let ended: Promise<unknown>
let endpoint: RfbEndpoint
let display: string
let gateway: Awaited<ReturnType<typeof startGateway>>

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anteroom-live-'))
  // The file holds the password encrypted under a key that is the same everywhere (vncpasswd of every VNC).
  const fixedKey = Buffer.from([23, 82, 107, 6, 35, 78, 88, 7]).toString('latin1')
  await writeFile(join(directory, 'password'), vncAuthResponse(Buffer.from(password), fixedKey), { mode: 0o600 })
  const port = await freePort()
  const options = `-displayfd 3 -rfbport ${port} -localhost -SecurityTypes VncAuth -geometry 640x480 -depth 24 -nolisten tcp`
  server = spawn('Xtigervnc', [...options.split(' '), '-rfbauth', join(directory, 'password')], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  ended = once(server, 'exit')
  const [number] = (await once(server.stdio[3] as NodeJS.ReadableStream, 'data')) as [Buffer]
  display = number.toString().trim()
  endpoint = { ip: '127.0.0.1', port, password }
  gateway = await startGateway(scope)
})
afterAll(async () => {
  await gateway?.close()
  server?.kill()
  await ended
  await rm(directory, { recursive: true, force: true })
})

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  if (!address || typeof address === 'string') throw new Error('no port')
  return address.port
}

/**
 * Fills squares of the root window, each with another colour: the smallest X11 client (core protocol, requests 55
 * CreateGC, 56 ChangeGC, 70 PolyFillRectangle, 43 GetInputFocus to be sure that they were done).
 */
async function paint(squares: number): Promise<void> {
  const socket = connect(`/tmp/.X11-unix/X${display}`)
  const read = reader(socket)
  socket.write(Buffer.from([0x6c, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
  const head = await read(8)
  expect(head[0]).toBe(1)
  const setup = await read(head.readUInt16LE(6) * 4)
  const formatBytes = setup.readUInt8(21) * 8
  const root = setup.readUInt32LE(32 + Math.ceil(setup.readUInt16LE(16) / 4) * 4 + formatBytes)
  const gc = setup.readUInt32LE(4)
  const words = (opcode: number, detail: number, ...values: number[]): Buffer => {
    const request = Buffer.alloc(4 + values.length * 4)
    request.writeUInt8(opcode, 0)
    request.writeUInt8(detail, 1)
    request.writeUInt16LE(1 + values.length, 2)
    for (const [at, value] of values.entries()) request.writeUInt32LE(value >>> 0, 4 + at * 4)
    return request
  }
  socket.write(words(55, 0, gc, root, 0))
  const foreground = 4
  for (let n = 0; n < squares; n++) {
    const colour = ((n * 36) << 16) | ((255 - n * 30) << 8) | ((n % 4) * 80)
    socket.write(words(56, 0, gc, foreground, colour))
    const [x, y, size] = [(n % 4) * 120, Math.floor(n / 4) * 120, 100]
    socket.write(words(70, 0, root, gc, x | (y << 16), size | (size << 16)))
  }
  socket.write(words(43, 0))
  await read(32)
  socket.destroy()
}

describe('Xtigervnc', () => {
  test('nothing painted: a bare screen is not a picture; painted: it is', async () => {
    expect(await gateway.live.isPainted(endpoint, scope)).toBe(false)
    await paint(2)
    expect(await gateway.live.isPainted(endpoint, scope)).toBe(false)
    await paint(8)
    expect(await gateway.live.isPainted(endpoint, scope)).toBe(true)
  })

  test('the screen is not known with a wrong password, and where nothing listens', async () => {
    expect(await gateway.live.isPainted({ ...endpoint, password: 'wrong678' }, scope)).toBeUndefined()
    expect(await gateway.live.isPainted({ ...endpoint, port: await freePort() }, scope)).toBeUndefined()
  })

  test('a viewer without a password sees the picture; what it types moves the pointer only with control', async () => {
    const [owner, onlooker] = [
      await gateway.view(sessionId, 'control', endpoint),
      await gateway.view(sessionId, 'view', endpoint),
    ]
    for (const viewer of [owner, onlooker]) {
      await viewer.has(12)
      viewer.socket.send(Buffer.concat([Buffer.from(version), Buffer.of(1, 0)]))
      const init = await viewer.has(18 + 24)
      expect([init.readUInt16BE(18), init.readUInt16BE(20)]).toEqual([640, 480])
      const start = 18 + 24 + init.readUInt32BE(18 + 20)
      await viewer.has(start)
      // Raw, and the pseudo-encoding that tells where the pointer is put by others (VNC "PointerPos").
      viewer.socket.send(Buffer.from([2, 0, 0, 1, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 2, 128, 1, 224]))
      await viewer.has(start + 4 + 12 + 640 * 480 * 4)
    }
    expect(await pointerAfter(onlooker.socket, 600, 400)).not.toEqual([600, 400])
    expect(await pointerAfter(owner.socket, 321, 123)).toEqual([321, 123])
    await gateway.live.close(sessionId, 'session_ended')
    expect(await Promise.all([owner.closed, onlooker.closed])).toMatchObject([
      { code: liveCloseCodes.session_ended },
      { code: liveCloseCodes.session_ended },
    ])
  })

  test.each([
    ['Tight', [7]],
    ['Tight with JPEG', [7, -26]],
    ['Tight with PNG', [-260, -26]],
    ['ZRLE', [16]],
    ['raw pixels', [0]],
    [
      'all that noVNC offers',
      [
        ...[1, 50, 7, -260, 16, 21, 5, 2, 6, 0, -26, -254, -223, -224, -258, -261, -308, -309, -312, -313, -307],
        ...[0xc0a1e5ce | 0, -316, 0x574d5664, -239],
      ],
    ],
  ])(
    'what it sends as %s is understood to the last byte, so that its clipboard can be left out',
    async (_, encodings) => {
      const viewer = await gateway.view(sessionId, 'view', endpoint)
      await viewer.has(12)
      viewer.socket.send(Buffer.concat([Buffer.from(version), Buffer.of(1, 0)]))
      await viewer.has(18 + 24)
      const offered = Buffer.alloc(4 + 4 * encodings.length)
      offered.writeUInt8(2, 0)
      offered.writeUInt16BE(encodings.length, 2)
      for (const [index, encoding] of encodings.entries()) offered.writeInt32BE(encoding, 4 + 4 * index)
      viewer.socket.send(offered)
      for (let round = 1; round <= 6; round++) {
        await paint(2 * round)
        const before = viewer.received().length
        // What is no picture, such as the pointer's shape, comes first, and takes a request for itself.
        const grownBy = (): number => {
          viewer.socket.send(Buffer.from([3, 0, 0, 0, 0, 0, 2, 128, 1, 224]))
          return viewer.received().length - before
        }
        // Where it lost its place, the next thing that it takes for a header ends the view.
        await expect.poll(grownBy, { timeout: 10_000 }).toBeGreaterThan(100)
      }
      expect(viewer.socket.readyState).toBe(viewer.socket.OPEN)
      viewer.socket.close()
      await viewer.served
    },
  )

  test('the server ending is told to the viewer', async () => {
    const viewer = await gateway.view(sessionId, 'control', endpoint)
    await viewer.has(12)
    viewer.socket.send(Buffer.concat([Buffer.from(version), Buffer.of(1, 0)]))
    await viewer.has(18 + 24)
    server.kill('SIGKILL')
    expect((await viewer.closed).code).toBe(liveCloseCodes.machine_lost)
    await viewer.served
  })
})

/** Sends a pointer event and a request behind it; where X says that the pointer is when the request was answered. */
async function pointerAfter(viewer: import('ws').WebSocket, x: number, y: number): Promise<[number, number]> {
  const answered = once(viewer, 'message')
  viewer.send(Buffer.from([5, 0, x >> 8, x & 255, y >> 8, y & 255, 3, 0, 0, 0, 0, 0, 0, 1, 0, 1]))
  await answered
  const socket = connect(`/tmp/.X11-unix/X${display}`)
  const read = reader(socket)
  socket.write(Buffer.from([0x6c, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
  const setup = await read((await read(8)).readUInt16LE(6) * 4)
  const root = setup.readUInt32LE(32 + Math.ceil(setup.readUInt16LE(16) / 4) * 4 + setup.readUInt8(21) * 8)
  const query = Buffer.from([38, 0, 2, 0, 0, 0, 0, 0])
  query.writeUInt32LE(root, 4)
  socket.write(query)
  const reply = await read(32)
  socket.destroy()
  return [reply.readInt16LE(16), reply.readInt16LE(18)]
}
