/**
 * Plays the machines: an RFB 3.8 server with VncAuth on 127.0.0.1. It sends those who are there when it is told to pictures as fast
 * as they are taken, until it is told to rest; a key is answered by a small one.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { answerParent } from '../child.ts'
import { challenge, challengeAnswer, echo, firstPicture, serverInit, updates } from './rfb-load.ts'

let flooding = false
const entered = new Set<Socket>()

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {}).on('close', () => entered.delete(socket))
  void serve(socket)
})
await once(server.listen(0, '127.0.0.1'), 'listening')
answerParent((server.address() as AddressInfo).port, async (question: 'flood' | 'rest' | 'entered') => {
  if (question === 'entered') return entered.size
  flooding = question === 'flood'
  if (flooding) for (const socket of entered) flood(socket)
  return flooding
})

async function serve(socket: Socket): Promise<void> {
  const chunks = socket.iterator()
  let held = Buffer.alloc(0)
  const read = async (bytes: number): Promise<Buffer> => {
    while (held.length < bytes) {
      const { value, done } = await chunks.next()
      if (done) throw new Error('the viewer has left')
      held = Buffer.concat([held, value])
    }
    const taken = held.subarray(0, bytes)
    held = held.subarray(bytes)
    return taken
  }
  try {
    socket.write('RFB 003.008\n')
    await read(12)
    socket.write(Buffer.of(1, 2))
    await read(1)
    socket.write(challenge)
    if (!(await read(16)).equals(challengeAnswer)) throw new Error('wrong password')
    socket.write(Buffer.alloc(4))
    await read(1)
    socket.write(serverInit)
    socket.write(firstPicture)
    entered.add(socket)
    for (;;) {
      await read(8)
      socket.write(echo)
    }
  } catch {
    socket.destroy()
  }
}

/** One update after the other, each written by itself as a server flushes it. */
function flood(socket: Socket): void {
  let next = 0
  const send = (): void => {
    while (flooding && !socket.destroyed) {
      const update = updates[next++ % updates.length]
      if (update && !socket.write(update)) return void socket.once('drain', send)
    }
  }
  send()
}
