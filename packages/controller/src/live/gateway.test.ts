import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Scope, silentLog } from '@anteroom/base'
import { liveCloseCodes } from '@anteroom/contract'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  ManualClock,
  reader,
  type Script,
  serverInit,
  shakeHands,
  startGateway,
  startMachine,
  type TestMachine,
  version,
} from './live.fixture.ts'

const sessionId = `ses_${'a'.repeat(24)}`
const otherId = `ses_${'b'.repeat(24)}`
const greeting = Buffer.concat([Buffer.from(version), Buffer.of(1, 1), Buffer.alloc(4), serverInit])
const key = Buffer.from([4, 1, 0, 0, 0, 0, 0, 97])
const request = Buffer.from([3, 1, 0, 0, 0, 0, 0, 4, 0, 2])

let clock: ManualClock
let scope: Scope
let gateway: Awaited<ReturnType<typeof startGateway>>
let machines: TestMachine[]

beforeEach(async () => {
  clock = new ManualClock()
  scope = Scope.root('test', silentLog, clock)
  gateway = await startGateway(scope)
  machines = []
})
afterEach(async () => {
  await gateway.close()
  for (const machine of machines) await machine.close()
})

async function machineThat(script: Script): Promise<TestMachine> {
  const machine = await startMachine(script)
  machines.push(machine)
  return machine
}

/** A machine that collects what reaches it after the handshake. */
async function collectingMachine() {
  const received: Buffer[] = []
  const machine = await machineThat(async (socket) => {
    const { read, shared } = await shakeHands(socket)
    received.push(Buffer.of(shared))
    for (;;) received.push(await read(1))
  })
  return { ...machine, received: () => Buffer.concat(received) }
}

describe('the gateway', () => {
  test('greets with RFB 3.8 without authentication, passes ServerInit and asks the machine to share', async () => {
    const machine = await collectingMachine()
    const viewer = await gateway.view(sessionId, 'control', machine.endpoint)
    expect(await viewer.enter()).toEqual(greeting)
    viewer.socket.send(Buffer.concat([key, request]))
    await vi.waitFor(() => expect(machine.received()).toEqual(Buffer.concat([Buffer.of(1), key, request])))
  })

  test('view-only: the request arrives, the key does not', async () => {
    const machine = await collectingMachine()
    const viewer = await gateway.view(sessionId, 'view', machine.endpoint)
    await viewer.enter()
    viewer.socket.send(Buffer.concat([key, request, key]))
    await vi.waitFor(() => expect(machine.received()).toEqual(Buffer.concat([Buffer.of(1), request])))
  })

  test('both sides speaking one byte at a time make no difference', async () => {
    const received: Buffer[] = []
    const machine = await machineThat(async (socket) => {
      socket.setNoDelay(true)
      const { read } = await shakeHands(socket, (bytes) => {
        for (const byte of Buffer.from(bytes)) socket.write(Buffer.of(byte))
      })
      for (;;) received.push(await read(1))
    })
    const viewer = await gateway.view(sessionId, 'control', machine.endpoint)
    await viewer.has(12)
    const everything = [...Buffer.from(version), 1, 0, ...key, ...request]
    for (const byte of everything) viewer.socket.send(Buffer.of(byte))
    expect(await viewer.has(greeting.length)).toEqual(greeting)
    await vi.waitFor(() => expect(Buffer.concat(received)).toEqual(Buffer.concat([key, request])))
  })

  test('two viewers of one session; closing it tells both why and leaves nothing; another session goes on', async () => {
    const machine = await collectingMachine()
    const other = await collectingMachine()
    const viewers = [
      await gateway.view(sessionId, 'control', machine.endpoint),
      await gateway.view(sessionId, 'view', machine.endpoint),
    ]
    const bystander = await gateway.view(otherId, 'control', other.endpoint)
    for (const viewer of [...viewers, bystander]) await viewer.enter()
    expect(gateway.live.viewers(sessionId)).toBe(2)
    await gateway.live.close(sessionId, 'session_ended')
    for (const viewer of viewers) {
      expect(await viewer.closed).toEqual({ code: liveCloseCodes.session_ended, reason: 'This sign-in has ended.' })
      await viewer.served
    }
    expect(gateway.live.viewers(sessionId)).toBe(0)
    await vi.waitFor(() => expect(machine.sockets.size).toBe(0))
    bystander.socket.send(key)
    await vi.waitFor(() => expect(other.received()).toEqual(Buffer.concat([Buffer.of(1), key])))
  })

  test('a viewer that leaves takes its connection to the machine along', async () => {
    const machine = await collectingMachine()
    const viewer = await gateway.view(sessionId, 'control', machine.endpoint)
    await viewer.enter()
    viewer.socket.close()
    await viewer.served
    await vi.waitFor(() => expect(machine.sockets.size).toBe(0))
    expect(gateway.live.viewers(sessionId)).toBe(0)
  })

  test('what a viewer typed before it left reaches a machine that is busy sending its picture', async () => {
    const gone = Promise.withResolvers<void>()
    const received = Promise.withResolvers<number>()
    /** Updates of no rectangles. */
    const picture = Buffer.alloc(256 * 1024)
    const machine = await machineThat(async (socket) => {
      const { read } = await shakeHands(socket)
      const send = (): void => void (socket.writable && socket.write(picture, () => setImmediate(send)))
      send()
      await gone.promise
      let keys = 0
      try {
        for (; ; keys++) await read(key.length)
      } catch {
        received.resolve(keys)
      }
    })
    const viewer = await gateway.view(sessionId, 'control', machine.endpoint)
    await viewer.enter()
    for (let n = 0; n < 1000; n++) viewer.socket.send(key)
    // Answered in order: the gateway has the keys.
    viewer.socket.ping()
    await once(viewer.socket, 'pong')
    viewer.socket.terminate()
    await viewer.closed
    gone.resolve()
    expect(await received.promise).toBe(1000)
    await viewer.served
  })

  test('the controller stopping is said', async () => {
    const machine = await collectingMachine()
    const viewer = await gateway.view(sessionId, 'control', machine.endpoint)
    await viewer.enter()
    scope.cancel()
    expect((await viewer.closed).code).toBe(liveCloseCodes.controller_stopping)
    await viewer.served
    await vi.waitFor(() => expect(machine.sockets.size).toBe(0))
  })

  test('closing a session while the machine is being connected leaves no connection', async () => {
    const machine = await machineThat(() => {})
    const viewer = await gateway.view(sessionId, 'control', machine.endpoint)
    await vi.waitFor(() => expect(machine.sockets.size).toBe(1))
    await gateway.live.close(sessionId, 'ticket_revoked')
    expect((await viewer.closed).code).toBe(liveCloseCodes.ticket_revoked)
    await viewer.served
    await vi.waitFor(() => expect(machine.sockets.size).toBe(0))
  })
})

describe('a viewer that misbehaves is closed with protocol_error', () => {
  const before: [string, Buffer | string][] = [
    ['a text frame', 'RFB 003.008\n'],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['RFB 3.3', Buffer.from('RFB 003.003\n')],
  ]
  test.each(before)('%s as a greeting', async (_what, bytes) => {
    const machine = await collectingMachine()
    const viewer = await gateway.view(sessionId, 'control', machine.endpoint)
    await viewer.has(12)
    viewer.socket.send(bytes)
    expect((await viewer.closed).code).toBe(liveCloseCodes.protocol_error)
    await viewer.served
    await vi.waitFor(() => expect(machine.sockets.size).toBe(0))
  })

  test('another security type than the one offered', async () => {
    const viewer = await gateway.view(sessionId, 'control', (await collectingMachine()).endpoint)
    await viewer.has(12)
    viewer.socket.send(Buffer.concat([Buffer.from(version), Buffer.of(2)]))
    expect((await viewer.closed).code).toBe(liveCloseCodes.protocol_error)
  })

  test.each([
    ['an unknown message', Buffer.of(99)],
    ['a clipboard of 50 MB', Buffer.from([6, 0, 0, 0, 2, 250, 240, 128])],
    ['a text frame', 'hello'],
  ])('%s later; the other viewer goes on', async (_what, bytes) => {
    const machine = await collectingMachine()
    const viewer = await gateway.view(sessionId, 'view', machine.endpoint)
    const other = await gateway.view(sessionId, 'control', machine.endpoint)
    await viewer.enter()
    await other.enter()
    viewer.socket.send(bytes)
    expect((await viewer.closed).code).toBe(liveCloseCodes.protocol_error)
    other.socket.send(key)
    await vi.waitFor(() => expect(machine.received().subarray(-key.length)).toEqual(key))
  })

  test('silence during the handshake', async () => {
    const machine = await collectingMachine()
    const viewer = await gateway.view(sessionId, 'control', machine.endpoint)
    await viewer.has(12)
    await clock.pass(16)
    expect((await viewer.closed).code).toBe(liveCloseCodes.protocol_error)
  })
})

describe('a machine that misbehaves gives machine_lost', () => {
  const say =
    (...parts: (Buffer | string)[]): Script =>
    (socket) => {
      for (const part of parts) socket.write(part)
      socket.resume().end()
    }
  const scripts: [string, Script][] = [
    ['closes at once', (socket) => void socket.destroy()],
    ['ends in the middle of its version', say('RFB 00')],
    ['is no RFB server', say('SSH-2.0-OpenSSH_9.2\r\n')],
    ['refuses with a reason', say(version, Buffer.of(0, 0, 0, 0, 4), 'busy')],
    ['does without authentication', say(version, Buffer.of(1, 1))],
    ['refuses the password', (socket) => refuse(socket)],
    ['ends after its ServerInit', async (socket) => void (await shakeHands(socket).then(() => socket.end()))],
    [
      'breaks off after its ServerInit',
      async (socket) => void (await shakeHands(socket).then(() => socket.resetAndDestroy())),
    ],
  ]
  async function refuse(socket: Socket): Promise<void> {
    const read = reader(socket)
    socket.write(Buffer.concat([Buffer.from(version), Buffer.of(1, 2)]))
    await read(13)
    socket.write(Buffer.alloc(16))
    await read(16)
    socket.end(Buffer.from([0, 0, 0, 1, 0, 0, 0, 2, 110, 111]))
  }

  test.each(scripts)('%s', async (_what, script) => {
    const machine = await machineThat(script)
    const viewer = await gateway.view(sessionId, 'control', machine.endpoint)
    viewer.enter().catch(() => {})
    expect(await viewer.closed).toMatchObject({
      code: liveCloseCodes.machine_lost,
      reason: expect.stringContaining('lost'),
    })
    await viewer.served
    await vi.waitFor(() => expect(machine.sockets.size).toBe(0))
  })

  test('nothing listens', async () => {
    const machine = await startMachine(() => {})
    await machine.close()
    const viewer = await gateway.view(sessionId, 'control', machine.endpoint)
    expect((await viewer.closed).code).toBe(liveCloseCodes.machine_lost)
  })

  test('accepts and says nothing', async () => {
    const viewer = await gateway.view(sessionId, 'control', (await machineThat(() => {})).endpoint)
    await clock.pass(11)
    expect((await viewer.closed).code).toBe(liveCloseCodes.machine_lost)
  })
})

describe('slow and silent peers', () => {
  /** Bells: whole messages, wherever they are cut. */
  const chunk = Buffer.alloc(64 * 1024, 2)
  /** Writes until it is told to wait; `waiting` says that it is. */
  const floodingMachine = async () => {
    const state = { bytes: 0, waiting: false }
    const machine = await machineThat(async (socket) => {
      await shakeHands(socket)
      while (!socket.destroyed) {
        state.waiting = !socket.write(chunk)
        if (state.waiting) await Promise.race([once(socket, 'drain'), once(socket, 'close')])
        else state.bytes += chunk.length
      }
    })
    return { ...machine, state }
  }

  test('a viewer that takes nothing holds the machine back, and is closed when it stays so', async () => {
    const machine = await floodingMachine()
    const viewer = await gateway.view(sessionId, 'control', machine.endpoint)
    await viewer.enter()
    viewer.socket.pause()
    const peak = await settled(() => machine.state.bytes)
    expect(peak).toBeLessThan(64 * 1024 * 1024)
    expect(viewer.gatewaySocket.bufferedAmount).toBeLessThan(1024 * 1024)
    // 30 s after the first look that found nothing moving; five more and the close frame would not be waited for.
    await clock.pass(36)
    viewer.socket.resume()
    expect((await viewer.closed).code).toBe(liveCloseCodes.viewer_stalled)
    await viewer.served
    await vi.waitFor(() => expect(machine.sockets.size).toBe(0))
  })

  test('a stalled viewer that never reads again is cut off', async () => {
    const machine = await floodingMachine()
    const viewer = await gateway.view(sessionId, 'control', machine.endpoint)
    await viewer.enter()
    viewer.socket.pause()
    await settled(() => machine.state.bytes)
    await clock.pass(60)
    await viewer.served
    await vi.waitFor(() => expect(machine.sockets.size).toBe(0))
  })

  test('a machine that takes no input holds the viewer back, and is given up when it stays so', async () => {
    const gaveUp = Promise.withResolvers<void>()
    const machine = await machineThat(async (socket) => {
      const { read } = await shakeHands(socket)
      await gaveUp.promise
      for (;;) await read(65536)
    })
    const viewer = await gateway.view(sessionId, 'control', machine.endpoint)
    await viewer.enter()
    const paste = Buffer.concat([Buffer.from([6, 0, 0, 0, 0, 15, 255, 248]), Buffer.alloc(0xffff8, 65)])
    while (!viewer.gatewaySocket.isPaused) {
      viewer.socket.send(paste)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await clock.pass(45)
    await viewer.served
    gaveUp.resolve()
    await vi.waitFor(() => expect(machine.sockets.size).toBe(0))
  })

  test('a viewer that answers pings stays, for an hour', async () => {
    const machine = await collectingMachine()
    const viewer = await gateway.view(sessionId, 'view', machine.endpoint)
    await viewer.enter()
    for (let pings = 0; pings < 144; pings++) {
      const answered = once(viewer.gatewaySocket, 'pong')
      await clock.pass(25)
      await answered
    }
    expect(gateway.live.viewers(sessionId)).toBe(1)
  })

  test('a viewer that does not answer a ping is gone', async () => {
    const machine = await collectingMachine()
    const viewer = await gateway.view(sessionId, 'view', machine.endpoint, { autoPong: false })
    await viewer.enter()
    await clock.pass(60)
    await viewer.served
    expect(gateway.live.viewers(sessionId)).toBe(0)
    await vi.waitFor(() => expect(machine.sockets.size).toBe(0))
  })
})

/** The value when it has not changed over a good many turns of the event loop. */
async function settled(read: () => number): Promise<number> {
  for (let last = -1, same = 0; ; ) {
    same = read() === last ? same + 1 : 0
    last = read()
    if (same === 2000) return last
    await new Promise((resolve) => setImmediate(resolve))
  }
}
