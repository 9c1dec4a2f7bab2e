import { once } from 'node:events'
import type { Socket } from 'node:net'
import { silentLog } from '@anteroom/base'
import fc from 'fast-check'
import { afterAll, beforeAll } from 'vitest'
import { WebSocket } from 'ws'
import { shakeHands, startMachine, type TestMachine } from '../../packages/controller/src/live/live.fixture.ts'
import { attemptTable, type Tally } from './harness/attempts.ts'
import { anyMessage, broken, forbidden, messages } from './harness/client-messages.ts'
import { openDoor } from './harness/live-door.ts'
import { reachedInput } from './harness/rfb-ear.ts'

/** What one viewer sends before it leaves. */
const messagesPerView = 50
const seed = Number(process.env.FUZZ_SEED ?? 20_261_126)

let door: Awaited<ReturnType<typeof openDoor>>
let machine: TestMachine
/** Of each connection to the machine, when it has ended: what came after the handshake. */
let heard: (bytes: Buffer) => void = () => {}
beforeAll(async () => {
  door = await openDoor({ log: silentLog })
  machine = await startMachine(async (socket: Socket) => {
    const chunks: Buffer[] = []
    const { read } = await shakeHands(socket)
    try {
      for (;;) chunks.push(await read(1))
    } catch {
      heard(Buffer.concat(chunks))
    }
  })
})
afterAll(async () => {
  await door.stop()
  await machine.close()
})

interface Sending {
  readonly access?: 'view' | 'control'
  /** How many bytes a WebSocket message holds; left out: all in one. */
  readonly pieceBytes?: number
}

/** Sends through a view of its own, leaves, and gives all that the machine was sent. */
async function throughGateway(
  id: string,
  sent: Buffer,
  { access = 'view', pieceBytes }: Sending = {},
): Promise<Buffer> {
  const arrived = new Promise<Buffer>((resolve) => {
    heard = resolve
  })
  const socket = new WebSocket(door.addressOf(id, await door.ticket(id, {}, { access })), 'binary')
  let bytes = 0
  const greeted = Promise.withResolvers<void>()
  socket.on('message', (data: Buffer) => {
    bytes += data.length
    // Version, security types, result, ServerInit of the fixture: each answered as soon as it may be.
    if (bytes >= 12 + 2 + 4 + 30) greeted.resolve()
  })
  await once(socket, 'open')
  socket.send(Buffer.from('RFB 003.008\n\x01\x01', 'latin1'))
  await greeted.promise
  const step = pieceBytes ?? Math.max(1, sent.length)
  for (let at = 0; at < sent.length; at += step) socket.send(sent.subarray(at, at + step))
  socket.close()
  return await arrived
}

async function readySession(): Promise<string> {
  const { id } = await door.edge.newSession()
  await door.edge.makeReady(id, machine.endpoint)
  return id
}

async function attack(tally: Tally, variant: string, id: string, sent: readonly Buffer[], how: Sending): Promise<void> {
  const got = reachedInput(await throughGateway(id, Buffer.concat(sent), how))
  for (let n = 1; n < sent.length; n++) tally.refused(variant)
  if (got === undefined) tally.refused(variant)
  else tally.succeeded(variant, got)
}

/** The ear hears: with control all of it arrives. Otherwise silence would prove nothing. */
async function earHears(id: string): Promise<void> {
  for (const [name, message] of Object.entries(forbidden)) {
    if (name === 'xvp') continue
    const got = reachedInput(await throughGateway(id, message, { access: 'control' }))
    if (got === undefined) throw new Error(`with control ${name} does not arrive either`)
  }
}

attemptTable('view-only', [
  {
    id: 'A3',
    attempt: 'a view-only viewer sends each kind of input: keys, pointer, clipboards, QEMU extensions, resize, xvp',
    refusal: 'nothing arrives, whether sent at once, byte by byte, or between what may pass',
    async run(tally) {
      const id = await readySession()
      await earHears(id)
      const { request, encodings } = messages
      for (const [name, message] of Object.entries(forbidden)) {
        await attack(tally, `${name}, at once`, id, [message], {})
        await attack(tally, `${name}, byte by byte`, id, [message], { pieceBytes: 1 })
        await attack(tally, `${name}, between requests`, id, [request, message, encodings, message, request], {})
        await attack(
          tally,
          `${name}, many`,
          id,
          Array.from({ length: 100 }, () => message),
          { pieceBytes: 7 },
        )
      }
    },
  },
  {
    id: 'A3',
    attempt: 'a view-only viewer sends 10,000 random messages, right ones of every kind and broken ones',
    refusal: 'none reaches the input of the machine',
    async run(tally) {
      const id = await readySession()
      const views = fc.sample(
        fc.record({
          whole: fc.array(anyMessage, { minLength: messagesPerView - 1, maxLength: messagesPerView - 1 }),
          last: fc.oneof(anyMessage, broken),
          pieceBytes: fc.constantFrom(undefined, undefined, 1, 3, 64),
        }),
        { numRuns: 10_000 / messagesPerView, seed },
      )
      for (const { whole, last, pieceBytes } of views)
        await attack(tally, pieceBytes === undefined ? 'at once' : `in pieces of ${pieceBytes}`, id, [...whole, last], {
          ...(pieceBytes !== undefined && { pieceBytes }),
        })
      if (tally.tries !== 10_000) throw new Error(`${tally.tries} messages were sent`)
    },
  },
])
