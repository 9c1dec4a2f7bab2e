import { createCipheriv } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import type { Scope } from '@anteroom/base'

export interface Screen {
  readonly width: number
  readonly height: number
  /** Four bytes a pixel: blue, green, red, unused. */
  readonly pixels: Buffer
}

/** 32 bits a pixel, depth 24, little endian, true colour, shifts 16, 8, 0 (RFC 6143, section 7.4). */
const setPixelFormat = Buffer.from([0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0])
const setEncodingsRaw = Buffer.from([2, 0, 0, 1, 0, 0, 0, 0])

/** One look at a screen over RFB 3.8 with VncAuth. @throws when the server refuses or speaks something else */
export async function readScreen(at: { ip: string; port: number; password: string }, scope: Scope): Promise<Screen> {
  const socket = connect({ host: at.ip, port: at.port })
  scope.defer(() => void socket.destroy())
  // The reader below rejects with it; an error between two reads must not end the process.
  socket.on('error', () => {})
  const read = reader(socket, scope)
  await read(12)
  socket.write('RFB 003.008\n')
  const types = await read((await read(1)).readUInt8())
  if (!types.includes(2)) throw new Error(`the server does not offer VncAuth but ${[...types]}`)
  socket.write(Buffer.of(2))
  socket.write(vncAuthAnswer(await read(16), at.password))
  if ((await read(4)).readUInt32BE() !== 0) throw new Error('the server refused the password')
  socket.write(Buffer.of(1))
  const init = await read(24)
  await read(init.readUInt32BE(20))
  const [width, height] = [init.readUInt16BE(0), init.readUInt16BE(2)]
  const request = Buffer.alloc(10)
  request.writeUInt8(3)
  request.writeUInt16BE(width, 6)
  request.writeUInt16BE(height, 8)
  socket.write(Buffer.concat([setPixelFormat, setEncodingsRaw, request]))
  return await readUpdate(read, width, height)
}

type Read = (bytes: number) => Promise<Buffer>

async function readUpdate(read: Read, width: number, height: number): Promise<Screen> {
  const pixels = Buffer.alloc(width * height * 4)
  for (;;) {
    const type = (await read(1)).readUInt8()
    if (type === 0) break
    // Clipboard text; a bell has nothing after its type. Nothing else comes unasked.
    if (type === 3) await read((await read(7)).readUInt32BE(3))
    else if (type !== 2) throw new Error(`unexpected RFB message ${type}`)
  }
  const rectangles = (await read(3)).readUInt16BE(1)
  for (let index = 0; index < rectangles; index++) {
    const head = await read(12)
    const [x, y, w, h] = [0, 2, 4, 6].map((offset) => head.readUInt16BE(offset)) as [number, number, number, number]
    for (let row = y; row < y + h; row++) (await read(w * 4)).copy(pixels, (row * width + x) * 4)
  }
  return { width, height, pixels }
}

/** Exactly so many bytes from the socket; rejects when it ends before. */
function reader(socket: Socket, scope: Scope): Read {
  const chunks = socket.iterator({ destroyOnReturn: false })
  let buffered = Buffer.alloc(0)
  return async (bytes) => {
    while (buffered.length < bytes) {
      const { value, done } = await scope.race(chunks.next())
      if (done) throw new Error('the RFB connection was closed')
      buffered = Buffer.concat([buffered, value])
    }
    const taken = buffered.subarray(0, bytes)
    buffered = buffered.subarray(bytes)
    return taken
  }
}

/**
 * DES in ECB mode under the password, whose bytes go in with their bits reversed (RFC 6143, section 7.2.2 and erratum 4951).
 * OpenSSL 3 has single DES as a legacy algorithm only; triple DES with one key three times is the same.
 */
function vncAuthAnswer(challenge: Buffer, password: string): Buffer {
  const key = Buffer.alloc(8)
  key.write(password, 'latin1')
  const mirrored = key.map((byte) => Number.parseInt(byte.toString(2).padStart(8, '0').split('').reverse().join(''), 2))
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([mirrored, mirrored, mirrored]), null)
  cipher.setAutoPadding(false)
  return Buffer.concat([cipher.update(challenge), cipher.final()])
}
