/** What the tests of the live view stand on: a clock that is moved by hand, an RFB server, a viewer. Real sockets. */

import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Clock, Scope } from '@anteroom/base'
import { vncAuthResponse } from '@anteroom/rfb'
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws'
import { testAudit } from '../../test/test-audit.ts'
import { configSchema } from '../config.ts'
import { createEvents } from '../events/events.ts'
import { openStore } from '../store/store.ts'
import { createLive, type Holder, type Live, type LiveAccess, type LivePolicy, type RfbEndpoint } from './live.ts'

export class ManualClock implements Clock {
  #ms = 0
  readonly #waiting = new Set<{ readonly at: number; readonly wake: () => void }>()

  now = (): number => 1_800_000_000_000 + this.#ms
  monotonic = (): number => this.#ms

  /** Timers that are set. */
  get waiting(): number {
    return this.#waiting.size
  }

  delay = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const waiter = { at: this.#ms + ms, wake: resolve }
      if (signal?.aborted) return resolve()
      this.#waiting.add(waiter)
      signal?.addEventListener('abort', () => {
        this.#waiting.delete(waiter)
        resolve()
      })
    })

  /** Step by step, so that what wakes can wait again and sockets can speak in between. */
  async pass(seconds: number): Promise<void> {
    for (let step = 0; step < seconds; step++) {
      this.#ms += 1000
      for (const waiter of this.#waiting) {
        if (waiter.at > this.#ms) continue
        this.#waiting.delete(waiter)
        waiter.wake()
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

export const password = 'k3yP4ss!'
export const version = 'RFB 003.008\n'
/** 4 × 2 pixels, 32 bits, named "screen". */
export const serverInit = Buffer.concat([
  Buffer.from([0, 4, 0, 2, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0, 0, 0, 0, 6]),
  Buffer.from('screen'),
])

/** Cuts `data` at the sizes in turn. */
export const cut = (data: Buffer, sizes: readonly number[]): Buffer[] => {
  const chunks: Buffer[] = []
  for (let at = 0, n = 0; at < data.length; n++) {
    const size = sizes[n % sizes.length] ?? 1
    chunks.push(data.subarray(at, at + size))
    at += size
  }
  return chunks
}

/** Reads exactly; for scripts of peers. */
export function reader(stream: NodeJS.ReadableStream) {
  let held = Buffer.alloc(0)
  const iterator = stream[Symbol.asyncIterator]()
  return async (length: number): Promise<Buffer> => {
    while (held.length < length) {
      const { value, done } = await iterator.next()
      if (done) throw new Error(`ended before ${length} bytes`)
      held = Buffer.concat([held, value as Buffer])
    }
    const bytes = held.subarray(0, length)
    held = held.subarray(length)
    return bytes
  }
}

export type Script = (socket: Socket) => Promise<void> | void

/** The server's half of the handshake, ServerInit included; gives the shared flag. */
export async function shakeHands(socket: Socket, write = (bytes: Buffer | string) => void socket.write(bytes)) {
  const read = reader(socket)
  write(version)
  await read(12)
  write(Buffer.of(1, 2))
  await read(1)
  const challenge = Buffer.from('0123456789abcdef')
  write(challenge)
  const right = (await read(16)).equals(vncAuthResponse(challenge, password))
  write(Buffer.from([0, 0, 0, right ? 0 : 1]))
  if (!right) {
    write(Buffer.concat([Buffer.from([0, 0, 0, 5]), Buffer.from('wrong')]))
    throw new Error('wrong password')
  }
  const shared = (await read(1)).readUInt8(0)
  write(serverInit)
  return { read, shared }
}

export interface TestMachine {
  readonly endpoint: RfbEndpoint
  readonly sockets: Set<Socket>
  close(): Promise<void>
}

export async function startMachine(script: Script): Promise<TestMachine> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => {})
    // Scripts end with their connection.
    Promise.resolve(script(socket)).catch(() => {})
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  }
  return { endpoint: { ip: '127.0.0.1', port: (server.address() as AddressInfo).port, password }, sockets, close }
}

export interface Viewer {
  readonly socket: WebSocket
  /** The gateway's end of the WebSocket. */
  readonly gatewaySocket: WebSocket
  readonly viewerId: string
  readonly holder: Holder
  /** Resolves when `serve` did. */
  readonly served: Promise<void>
  readonly closed: Promise<{ code: number; reason: string }>
  readonly received: () => Buffer
  /** Waits for so many bytes in all. */
  has(bytes: number): Promise<Buffer>
  /** Through the handshake up to and with ServerInit. */
  enter(): Promise<Buffer>
}

/** A gateway on a real WebSocket server; `view` opens one viewer. */
export async function startGateway(scope: Scope, change: Partial<LivePolicy> = {}) {
  const store = await openStore(':memory:')
  const { clock, log } = scope
  const events = createEvents({ store, clock })
  const live: Live = createLive({
    ...{ store, clock, events, log, policy: { ...configSchema.parse({}).live, ...change } },
    audit: testAudit({ store }),
    publicUrl: () => 'http://127.0.0.1',
  })
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(sockets, 'listening')
  let views = 0
  const view = async (
    sessionId: string,
    access: LiveAccess,
    endpoint: RfbEndpoint,
    options: ClientOptions & { readonly principal?: string } = {},
  ): Promise<Viewer> => {
    const arrived = once(sockets, 'connection') as Promise<[WebSocket]>
    const socket = new WebSocket(`ws://127.0.0.1:${(sockets.address() as AddressInfo).port}`, 'binary', options)
    const viewer = watchViewer(socket)
    const [gatewaySocket] = await arrived
    const viewerId = `vwr_${String(++views).padStart(24, '0')}`
    const holder = { principal: options.principal ?? 'test', cookie: null, key: null }
    const admission = { sessionId, access, holder, ticket: '', viewerId }
    const served = live.serve(admission, endpoint, gatewaySocket, scope)
    await once(socket, 'open')
    return { ...viewer, viewerId, holder, gatewaySocket, served }
  }
  const close = async (): Promise<void> => {
    for (const socket of sockets.clients) socket.terminate()
    sockets.close()
    await store.close()
  }
  return { store, live, view, close }
}

function watchViewer(socket: WebSocket) {
  let received = Buffer.alloc(0)
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
  })
  socket.on('message', (data: Buffer) => {
    received = Buffer.concat([received, data])
  })
  const has = async (bytes: number): Promise<Buffer> => {
    while (received.length < bytes) {
      if (socket.readyState > WebSocket.OPEN) throw new Error(`closed after ${received.length} of ${bytes} bytes`)
      await Promise.race([once(socket, 'message'), closed])
    }
    return received
  }
  const enter = async (): Promise<Buffer> => {
    await has(12)
    socket.send(Buffer.from(version))
    await has(14)
    socket.send(Buffer.of(1))
    await has(18)
    socket.send(Buffer.of(0))
    return await has(18 + serverInit.length)
  }
  return { socket, closed, received: () => received, has, enter }
}
