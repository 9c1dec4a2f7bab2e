import { once } from 'node:events'
import type { Ticket } from '@anteroom/contract'
import { afterAll, beforeAll } from 'vitest'
import { WebSocket } from 'ws'
import { cut, shakeHands, startMachine, type TestMachine } from '../../packages/controller/src/live/live.fixture.ts'
import { attemptTable, type Tally } from './harness/attempts.ts'
import { messages } from './harness/client-messages.ts'
import { openDoor } from './harness/live-door.ts'

const secret = 'copied-in-the-machine'
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const cutText = (length: number, ...parts: Buffer[]): Buffer =>
  Buffer.concat([Buffer.of(3, 0, 0, 0), u32(length), ...parts])
const extended = (acts: number, text: string): Buffer =>
  cutText(-(4 + text.length), Buffer.of(acts, 0, 0, 1), Buffer.from(text))
/** As a machine may say what was copied in it, or that there is something; RFC 6143 section 7.6.4 and rfbproto. */
const clipboards = {
  'plain text': cutText(secret.length, Buffer.from(secret)),
  'the extended clipboard, provide': extended(0x10, secret),
  'the extended clipboard, notify': extended(0x08, ''),
  'as provide and request at once': extended(0x12, secret),
  'as what it can do, too long for that': extended(0x01, secret.padEnd(100)),
}
/** Said last: when it is there, all before it would be. */
const bell = Buffer.of(2)
const pictures = Buffer.concat([Buffer.from([0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1]), u32(0), Buffer.alloc(4, 7)])

let door: Awaited<ReturnType<typeof openDoor>>
let machine: TestMachine
/** What the machine says to each request for a picture, in pieces. */
let said: readonly Buffer[] = []
beforeAll(async () => {
  door = await openDoor()
  machine = await startMachine(async (socket) => {
    socket.setNoDelay(true)
    const { read } = await shakeHands(socket)
    for (;;) {
      await read(messages.request.length)
      for (const piece of said) socket.write(piece)
    }
  })
})
afterAll(async () => {
  await door.stop()
  await machine.close()
})

interface Ear {
  readonly viewerId: string
  /** What comes after a request, up to the bell. */
  ask(): Promise<Buffer>
  leave(): void
}

async function open(id: string, headers: Record<string, string>, access: 'control' | 'view'): Promise<Ear> {
  const own = { origin: door.edge.url, 'x-anteroom-request': '1' }
  const answer = await door.edge.call('POST', `/v1/sessions/${id}/tickets`, { access }, { ...own, ...headers })
  const { ticket, viewer_id } = (await answer.json()) as Ticket
  const socket = new WebSocket(door.addressOf(id, ticket), 'binary', { headers })
  let heard = Buffer.alloc(0)
  socket.on('message', (data: Buffer) => {
    heard = Buffer.concat([heard, data])
  })
  const until = async (isThere: () => boolean): Promise<void> => {
    while (!isThere()) await once(socket, 'message')
  }
  await once(socket, 'open')
  socket.send(Buffer.from('RFB 003.008\n\x01\x01', 'latin1'))
  await until(() => heard.length >= 12 + 2 + 4 + 30)
  return {
    viewerId: viewer_id,
    async ask() {
      heard = Buffer.alloc(0)
      socket.send(messages.request)
      await until(() => heard.at(-1) === bell[0])
      return heard
    },
    leave: () => socket.terminate(),
  }
}

async function listen(tally: Tally, who: string, ear: Ear): Promise<void> {
  for (const [kind, clipboard] of Object.entries(clipboards)) {
    const all = Buffer.concat([pictures, clipboard, pictures, clipboard, bell])
    for (const size of [all.length, 5, 1]) {
      said = cut(all, [size])
      await tally.try(`${who}: ${kind}, in pieces of ${size}`, async () => {
        const got = await ear.ask()
        return got.equals(Buffer.concat([pictures, pictures, bell])) ? undefined : got.toString('latin1')
      })
    }
  }
}

/** The ear hears: with control all of it arrives. Otherwise silence would prove nothing. */
async function earHears(ear: Ear): Promise<void> {
  for (const [kind, clipboard] of Object.entries(clipboards)) {
    said = [clipboard, bell]
    if (!(await ear.ask()).equals(Buffer.concat(said))) throw new Error(`with control ${kind} does not arrive either`)
  }
}

attemptTable('clipboard', [
  {
    id: 'A3',
    attempt: 'whoever looks on, and whoever had control and has it no more, listens for what is copied in the machine',
    refusal: 'pictures arrive, and nothing of a clipboard, whole or in pieces of a byte',
    async run(tally) {
      const session = await door.edge.newSession()
      const { id } = session
      await door.edge.makeReady(id, machine.endpoint)
      await door.edge.sessions.agree(id, 'test')
      const visitor = { cookie: await door.edge.visitorOf(session) }
      const person = await open(id, visitor, 'control')
      const operator = await open(id, { cookie: await door.edge.operatorVisit() }, 'view')
      await earHears(person)
      await listen(tally, 'who looks on', operator)
      const give = async ({ viewerId }: Ear): Promise<void> => {
        const path = `/v1/sessions/${id}/viewers/${viewerId}/control`
        const own = { origin: door.edge.url, 'x-anteroom-request': '1' }
        const { status } = await door.edge.call('POST', path, { give: true }, { ...own, ...visitor })
        if (status >= 300) throw new Error(`control is not given: ${status}`)
      }
      await give(operator)
      await earHears(operator)
      await listen(tally, 'who gave control away', person)
      await give(person)
      await listen(tally, 'from whom control was taken back', operator)
      person.leave()
      operator.leave()
    },
  },
])
