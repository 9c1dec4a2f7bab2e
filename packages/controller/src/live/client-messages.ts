/**
 * What a viewer may send, message by message: how long it is and whom it is passed on for. RFC 6143 section 7.5 and, for
 * what is not in the RFC, the community's rfbproto (types 150, 248, 250, 251, 255, the extended clipboard and the
 * extended mouse buttons). The rows are what noVNC 1.7 can send; every other type ends the connection, because where an
 * unknown message ends, and so what the next byte means, cannot be known.
 */
import { RfbViolation } from '@anteroom/rfb'
import type { LiveAccess } from './live.ts'

/** What a viewer said before that changes how its later messages are framed. */
export interface ViewerFeatures {
  extendedMouseButtons: boolean
}

export interface ClientMessage {
  readonly name: string
  /** So many bytes tell how long the whole message is. */
  readonly headerBytes: number
  /** Length of the whole message. @throws RfbViolation */
  readonly length: (header: Buffer, features: ViewerFeatures) => number
  /** With which access it reaches the machine; with another it is dropped. */
  readonly passes: readonly LiveAccess[]
}

/** A pasted document, not a pasted disk (V3). */
export const maxClipboardBytes = 1024 * 1024
const maxFencePayloadBytes = 64
const extendedMouseButtonsEncoding = -316
const extendedMouseMarker = 0x80
const qemuExtendedKey = 0

const always: readonly LiveAccess[] = ['view', 'control']
const input: readonly LiveAccess[] = ['control']
const never: readonly LiveAccess[] = []

const fixed = (name: string, bytes: number, passes: readonly LiveAccess[]): ClientMessage => ({
  name,
  headerBytes: 1,
  length: () => bytes,
  passes,
})

const pixelFormatLength = (header: Buffer): number => {
  const bitsPerPixel = header.readUInt8(4)
  if (![8, 16, 32].includes(bitsPerPixel)) throw new RfbViolation(`SetPixelFormat with ${bitsPerPixel} bits per pixel`)
  return 20
}

/** A negative length means the extended clipboard: flags of four bytes, then data. */
const cutTextLength = (header: Buffer): number => {
  const length = header.readInt32BE(4)
  const bytes = Math.abs(length)
  if (bytes > maxClipboardBytes) throw new RfbViolation(`clipboard of ${bytes} bytes`)
  if (length < 0 && bytes < 4) throw new RfbViolation('extended clipboard without flags')
  return 8 + bytes
}

const fenceLength = (header: Buffer): number => {
  const bytes = header.readUInt8(8)
  if (bytes > maxFencePayloadBytes) throw new RfbViolation(`fence of ${bytes} bytes`)
  return 9 + bytes
}

const qemuLength = (header: Buffer): number => {
  const kind = header.readUInt8(1)
  if (kind !== qemuExtendedKey) throw new RfbViolation(`QEMU message ${kind}`)
  return 12
}

export const clientMessages: ReadonlyMap<number, ClientMessage> = new Map([
  [0, { name: 'SetPixelFormat', headerBytes: 5, length: pixelFormatLength, passes: always }],
  [2, { name: 'SetEncodings', headerBytes: 4, length: (header) => 4 + 4 * header.readUInt16BE(2), passes: always }],
  [3, fixed('FramebufferUpdateRequest', 10, always)],
  [4, fixed('KeyEvent', 8, input)],
  [
    5,
    {
      name: 'PointerEvent',
      headerBytes: 2,
      length: (header, features) =>
        features.extendedMouseButtons && header.readUInt8(1) & extendedMouseMarker ? 7 : 6,
      passes: input,
    },
  ],
  [6, { name: 'ClientCutText', headerBytes: 8, length: cutTextLength, passes: input }],
  [150, fixed('EnableContinuousUpdates', 10, always)],
  [248, { name: 'ClientFence', headerBytes: 9, length: fenceLength, passes: always }],
  // Asks the server to reboot or halt its host.
  [250, fixed('xvp', 4, never)],
  [251, { name: 'SetDesktopSize', headerBytes: 8, length: (header) => 8 + 16 * header.readUInt8(6), passes: input }],
  [255, { name: 'QEMUExtendedKeyEvent', headerBytes: 2, length: qemuLength, passes: input }],
] satisfies [number, ClientMessage][])

/** Remembers what `message` says about the messages after it. */
export function noteFeatures(message: Buffer, features: ViewerFeatures): void {
  if (message[0] !== 2) return
  features.extendedMouseButtons = false
  for (let at = 4; at < message.length; at += 4)
    if (message.readInt32BE(at) === extendedMouseButtonsEncoding) features.extendedMouseButtons = true
}
