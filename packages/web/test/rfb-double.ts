import type { WebSocket } from 'ws'

/** What a viewer did, as the machine would see it. */
export interface RfbDouble {
  readonly size: { width: number; height: number }
  /** Keysyms that were pressed. */
  readonly pressed: number[]
  /** Texts put on the clipboard, as ISO 8859-1: the extended clipboard is not offered. */
  readonly pasted: string[]
}

const encodings = { raw: 0, extendedDesktopSize: -308 } as const

/** Lengths of the fixed part of client messages (RFC 6143, section 7.5; rfbproto for 251). */
const headLengths: Record<number, number> = { 0: 20, 2: 4, 3: 10, 4: 8, 5: 6, 6: 8, 251: 8 }

/** A small RFB 3.8 server (security type None) with one colour on its screen, which can be resized. */
export function serveRfb(socket: WebSocket): RfbDouble {
  const seen = { size: { width: 800, height: 600 }, pressed: [] as number[], pasted: [] as string[] }
  let pending = Buffer.alloc(0)
  let step: 'version' | 'security' | 'init' | 'messages' = 'version'
  let owed: 'size' | 'picture' | undefined = 'size'
  let wasAsked = false

  const take = (length: number): Buffer | undefined => {
    if (pending.length < length) return undefined
    const taken = pending.subarray(0, length)
    pending = pending.subarray(length)
    return taken
  }
  const update = (): void => {
    if (owed === undefined) return
    socket.send(owed === 'size' ? desktopSize(seen.size, wasAsked) : picture(seen.size))
    owed = owed === 'size' ? 'picture' : undefined
  }
  const message = (type: number, head: Buffer, rest: Buffer): void => {
    if (type === 3) {
      if (head[1] === 0 && owed === undefined) owed = 'picture'
      update()
    }
    if (type === 4 && head[1] === 1) seen.pressed.push(head.readUInt32BE(4))
    if (type === 6) seen.pasted.push(rest.toString('latin1'))
    if (type === 251) {
      seen.size = { width: head.readUInt16BE(2), height: head.readUInt16BE(4) }
      owed = 'size'
      wasAsked = true
      update()
    }
  }
  const next = (): boolean => {
    switch (step) {
      case 'version':
        if (!take(12)) return false
        socket.send(Buffer.from([1, 1]))
        step = 'security'
        return true
      case 'security':
        if (!take(1)) return false
        socket.send(Buffer.alloc(4))
        step = 'init'
        return true
      case 'init':
        if (!take(1)) return false
        socket.send(serverInit(seen.size))
        step = 'messages'
        return true
      case 'messages': {
        const type = pending[0]
        if (type === undefined) return false
        const headLength = headLengths[type]
        if (headLength === undefined) throw new Error(`the viewer sent a message of type ${type}`)
        if (pending.length < headLength) return false
        const restLength = restLengthOf(type, pending)
        const whole = take(headLength + restLength)
        if (!whole) return false
        message(type, whole.subarray(0, headLength), whole.subarray(headLength))
        return true
      }
    }
  }
  socket.on('message', (data: Buffer) => {
    pending = Buffer.concat([pending, data])
    while (next());
  })
  socket.send(Buffer.from('RFB 003.008\n'))
  return seen
}

function restLengthOf(type: number, message: Buffer): number {
  if (type === 2) return 4 * message.readUInt16BE(2)
  if (type === 6) return message.readUInt32BE(4)
  if (type === 251) return 16 * (message[6] ?? 0)
  return 0
}

function serverInit({ width, height }: RfbDouble['size']): Buffer {
  const name = Buffer.from('double')
  const head = Buffer.alloc(24)
  head.writeUInt16BE(width, 0)
  head.writeUInt16BE(height, 2)
  // 32 bits a pixel, depth 24, true colour, 8 bits each.
  Buffer.from([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0]).copy(head, 4)
  head.writeUInt32BE(name.length, 20)
  return Buffer.concat([head, name])
}

const rectangle = ({ width, height }: RfbDouble['size'], encoding: number): Buffer => {
  const head = Buffer.alloc(16)
  head.writeUInt16BE(1, 2)
  head.writeUInt16BE(width, 8)
  head.writeUInt16BE(height, 10)
  head.writeInt32BE(encoding, 12)
  return head
}

/** The x position says why: 1 for the wish of this client. */
const desktopSize = (size: RfbDouble['size'], wasAsked: boolean): Buffer => {
  const head = rectangle(size, encodings.extendedDesktopSize)
  head.writeUInt16BE(wasAsked ? 1 : 0, 4)
  const screen = Buffer.alloc(20)
  screen[0] = 1
  screen.writeUInt16BE(size.width, 12)
  screen.writeUInt16BE(size.height, 14)
  return Buffer.concat([head, screen])
}

const picture = (size: RfbDouble['size']): Buffer =>
  Buffer.concat([rectangle(size, encodings.raw), Buffer.alloc(size.width * size.height * 4, 0x9f)])
