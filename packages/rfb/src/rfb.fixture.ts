/** A small RFB server on a real socket: a picture to look at, and what was typed. Written apart from the client. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { RfbEndpoint } from './connect.ts'

export const password = 'password'

export interface TestScreen {
  readonly width: number
  readonly height: number
  /** Colour of a pixel as 0xrrggbb; asked each time, so that it can change. */
  colour: (x: number, y: number) => number
}

export interface TestServer {
  readonly endpoint: RfbEndpoint
  /** Client messages after the handshake, whole. */
  readonly received: Buffer[]
  readonly connections: Set<Duplex>
  /** What happens instead of an answer to an update request, when set. */
  answer: ((request: Buffer, stream: Duplex) => void) | undefined
  close(): Promise<void>
}

const lengths: Record<number, (head: Buffer) => number> = {
  0: () => 20,
  2: (head) => 4 + 4 * head.readUInt16BE(2),
  3: () => 10,
  4: () => 8,
  5: () => 6,
}

export async function startServer(
  screen: TestScreen,
  cut: (bytes: Buffer) => Buffer[] = (bytes) => [bytes],
): Promise<TestServer> {
  const server = {
    endpoint: { ip: '127.0.0.1', port: 0, password },
    received: [] as Buffer[],
    connections: new Set<Duplex>(),
    answer: undefined as TestServer['answer'],
    close: async () => {
      for (const connection of server.connections) connection.destroy()
      await once(listener.close(), 'close')
    },
  }
  const listener = createServer({ noDelay: true }, (socket: Socket) => {
    server.connections.add(socket)
    socket.on('error', () => {}).on('close', () => server.connections.delete(socket))
    serve(socket, screen, server, (bytes) => {
      for (const piece of cut(bytes)) socket.write(piece)
    })
  })
  await once(listener.listen(0, '127.0.0.1'), 'listening')
  server.endpoint.port = (listener.address() as AddressInfo).port
  return server
}

const challenge = Buffer.from('177e35ca1c0b02e5a5b1a7d32f0f4b11', 'hex')
/** By `openssl enc -des-ecb` under the bits of each byte of the password in reverse. */
const rightAnswer = Buffer.from('40596b9ae939af10193b7bfd7f962823', 'hex')

const refusal = Buffer.from([0, 0, 0, 1, 0, 0, 0, 2, 110, 111])

function serve(socket: Socket, screen: TestScreen, server: TestServer, write: (bytes: Buffer) => void): void {
  let held: Buffer = Buffer.alloc(0)
  let format: Buffer = Buffer.alloc(0)
  const take = (bytes: number): Buffer | undefined => {
    if (held.length < bytes) return undefined
    const taken = held.subarray(0, bytes)
    held = held.subarray(bytes)
    return taken
  }
  const steps: { readonly bytes: number; readonly next: (taken: Buffer) => void }[] = [
    { bytes: 12, next: () => write(Buffer.of(1, 2)) },
    { bytes: 1, next: () => write(challenge) },
    { bytes: 16, next: (answer) => write(answer.equals(rightAnswer) ? Buffer.alloc(4) : refusal) },
    { bytes: 1, next: () => write(initOf(screen)) },
  ]
  write(Buffer.from('RFB 003.008\n'))
  socket.on('data', (chunk) => {
    held = Buffer.concat([held, chunk])
    for (;;) {
      const step = steps[0]
      const taken = step ? take(step.bytes) : takeMessage()
      if (!taken) return
      if (step) steps.shift()?.next(taken)
      else handle(taken)
    }
  })
  const takeMessage = (): Buffer | undefined =>
    held.length < 4 ? undefined : take(lengths[held.readUInt8(0)]?.(held) ?? Number.POSITIVE_INFINITY)
  const handle = (message: Buffer): void => {
    server.received.push(message)
    if (message[0] === 0) format = message.subarray(4)
    if (message[0] !== 3) return
    if (server.answer) server.answer(message, socket)
    else write(updateOf(screen, message, format.readUInt8(0) / 8))
  }
}

function initOf({ width, height }: TestScreen): Buffer {
  const init = Buffer.alloc(24)
  init.writeUInt16BE(width, 0)
  init.writeUInt16BE(height, 2)
  init.writeUInt32BE(4, 20)
  return Buffer.concat([init, Buffer.from('test')])
}

/** The region that was asked for, in two rectangles where it has two rows. */
function updateOf(screen: TestScreen, request: Buffer, pixelBytes: number): Buffer {
  const [x, y, width, height] = [2, 4, 6, 8].map((at) => request.readUInt16BE(at)) as [number, number, number, number]
  const upper = Math.ceil(height / 2)
  const parts = [
    { top: y, rows: upper },
    { top: y + upper, rows: height - upper },
  ].filter(({ rows }) => rows > 0)
  return Buffer.concat([
    Buffer.of(0, 0, 0, parts.length),
    ...parts.flatMap(({ top, rows }) => {
      const head = Buffer.alloc(12)
      for (const [index, value] of [x, top, width, rows].entries()) head.writeUInt16BE(value, 2 * index)
      const pixels = Buffer.alloc(width * rows * pixelBytes)
      for (let at = 0; at < width * rows; at++)
        put(pixels, at, screen.colour(x + (at % width), top + Math.floor(at / width)), pixelBytes)
      return [head, pixels]
    }),
  ])
}

function put(pixels: Buffer, at: number, colour: number, pixelBytes: number): void {
  const [red, green, blue] = [colour >> 16, (colour >> 8) & 255, colour & 255]
  if (pixelBytes === 1) pixels.writeUInt8(((blue >> 6) << 6) | ((green >> 5) << 3) | (red >> 5), at)
  else pixels.writeUInt32LE((red << 16) | (green << 8) | blue, at * 4)
}
