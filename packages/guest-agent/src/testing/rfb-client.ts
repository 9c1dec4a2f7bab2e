/** For host tests: the person's hands. RFB 3.8 with VncAuth (RFC 6143), as much of it as typing and clicking need. */
import { createCipheriv } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface RfbClient {
  /** Types characters of Latin-1; `\r` is Return, `\t` is Tab. */
  type(text: string): void
  click(x: number, y: number): void
  close(): void
}

const keysyms: Record<string, number> = { '\r': 0xff0d, '\t': 0xff09 }

/** @throws Error when the server refuses the password */
export async function connectRfb(port: number, password: string): Promise<RfbClient> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const version = await read(socket, 12)
  socket.write(version)
  const [types = 0] = await read(socket, 1)
  const offered = await read(socket, types)
  if (offered.toString('hex') !== '02') throw new Error(`not VncAuth alone: ${offered.toString('hex')}`)
  socket.write(Buffer.from([2]))
  socket.write(answerChallenge(await read(socket, 16), password))
  const result = (await read(socket, 4)).readUInt32BE()
  if (result !== 0) {
    socket.destroy()
    throw new Error('the RFB server refused the password')
  }
  socket.write(Buffer.from([1])) // ClientInit: shared
  const initial = await read(socket, 24)
  await read(socket, initial.readUInt32BE(20))
  socket.resume()

  const key = (keysym: number): void => {
    for (const down of [1, 0]) {
      const event = Buffer.from([4, down, 0, 0, 0, 0, 0, 0])
      event.writeUInt32BE(keysym, 4)
      socket.write(event)
    }
  }
  return {
    type(text) {
      for (const character of text) key(keysyms[character] ?? character.charCodeAt(0))
    },
    click(x, y) {
      for (const buttons of [0, 1, 0]) {
        const event = Buffer.from([5, buttons, 0, 0, 0, 0])
        event.writeUInt16BE(x, 2)
        event.writeUInt16BE(y, 4)
        socket.write(event)
      }
    },
    close: () => socket.destroy(),
  }
}

async function read(socket: Socket, bytes: number): Promise<Buffer> {
  for (;;) {
    const chunk = bytes === 0 ? Buffer.alloc(0) : (socket.read(bytes) as Buffer | null)
    if (chunk) return chunk
    if (socket.readableEnded) throw new Error('the RFB server hung up')
    await once(socket, 'readable')
  }
}

/** DES of the challenge; VNC takes the bits of each byte of the password in reverse. */
function answerChallenge(challenge: Buffer, password: string): Buffer {
  const key = Buffer.alloc(8)
  key.write(password, 'latin1')
  for (const [index, byte] of key.entries())
    key[index] = Number.parseInt(byte.toString(2).padStart(8, '0').split('').reverse().join(''), 2)
  return createCipheriv('des-ede3-ecb', Buffer.concat([key, key, key]), null)
    .setAutoPadding(false)
    .update(challenge)
}
