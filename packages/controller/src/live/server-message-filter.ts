/**
 * What a machine says after the handshake, cut where a viewer cuts it, so that its clipboard can be left out. RFC 6143 section 7.6
 * and, for what is not in the RFC, the community's rfbproto (Tight, fences, continuous updates and the pseudo-encodings).
 */
import { RfbViolation } from '@anteroom/rfb'

/** Encodings whose length this parser can tell; what a viewer offers besides is not offered to the machine. */
const raw = 0
const copyRect = 1
const tight = 7
const zrle = 16
const desktopSize = -223
const lastRect = -224
const cursor = -239
const qemuExtendedKey = -258
const tightPng = -260
const desktopName = -307
const extendedDesktopSize = -308
const fence = -312
const continuousUpdates = -313
const extendedMouseButtons = -316
const known: ReadonlySet<number> = new Set([
  ...[raw, copyRect, tight, zrle, desktopSize, lastRect, cursor, qemuExtendedKey, tightPng, desktopName],
  ...[extendedDesktopSize, fence, continuousUpdates, extendedMouseButtons],
])
/** Levels of quality (-32 to -23) and of compression (-256 to -247) are numbers, not encodings. */
const isLevel = (encoding: number): boolean =>
  (encoding >= -32 && encoding <= -23) || (encoding >= -256 && encoding <= -247)

const pixelBytes = 4
/** A pixel in Tight, where each of its colours has eight bits. */
const tightPixelBytes = 3
/** Shorter data is not compressed, and has no length before it. */
const tightLeastCompressed = 12
const mostNameBytes = 64 * 1024
const mostFenceBytes = 64

const setPixelFormat = 0
const setEncodings = 2

/**
 * A viewer's message as the machine may have it while its answers are parsed: without encodings of unknown length, among them the
 * extended clipboard. @throws RfbViolation for pixels of another size than 32 bits
 */
export function parseable(message: Buffer): Buffer {
  if (message[0] === setPixelFormat) requireTrueColour(message.subarray(4, 20))
  if (message[0] !== setEncodings) return message
  const offered: number[] = []
  for (let at = 4; at < message.length; at += 4) offered.push(message.readInt32BE(at))
  const kept = offered.filter((encoding) => known.has(encoding) || isLevel(encoding))
  const confined = Buffer.alloc(4 + 4 * kept.length)
  confined.writeUInt8(setEncodings, 0)
  confined.writeUInt16BE(kept.length, 2)
  for (const [index, encoding] of kept.entries()) confined.writeInt32BE(encoding, 4 + 4 * index)
  return confined
}

/** `read`: the parser wants to see them. */
interface Wanted {
  readonly bytes: number
  readonly as: 'read' | 'passed' | 'dropped'
}
type Parser = Generator<Wanted, void, Buffer>

/** Gives in pieces what goes on to the viewer: everything but the clipboard, while `dropsClipboard` says so. */
export class ServerMessageFilter {
  readonly #dropsClipboard: () => boolean
  readonly #parser: Parser
  #wanted: Wanted
  /** Of what is wanted this is not here yet. */
  #missing: number
  #seen: Buffer[] = []
  #passed: Buffer[] = []

  constructor(dropsClipboard: () => boolean) {
    this.#dropsClipboard = dropsClipboard
    this.#parser = this.#messages()
    this.#wanted = this.#next(Buffer.alloc(0))
    this.#missing = this.#wanted.bytes
  }

  /** What it gives lies in `chunk`, but for what was cut. @throws RfbViolation */
  push(chunk: Buffer): readonly Buffer[] {
    this.#passed = []
    for (let rest = chunk; rest.length > 0; ) {
      const part = rest.subarray(0, this.#missing)
      rest = rest.subarray(part.length)
      this.#missing -= part.length
      if (this.#wanted.as === 'passed') this.#passed.push(part)
      // What is read is a header, and the chunk's memory is used again.
      if (this.#wanted.as === 'read') this.#seen.push(Buffer.from(part))
      while (this.#missing === 0) this.#advance()
    }
    return this.#passed
  }

  #advance(): void {
    const seen = Buffer.concat(this.#seen)
    this.#seen = []
    this.#wanted = this.#next(seen)
    this.#missing = this.#wanted.bytes
  }

  #next(seen: Buffer): Wanted {
    const { value } = this.#parser.next(seen)
    if (!value) throw new Error('the parser never ends')
    return value
  }

  *#read(bytes: number): Generator<Wanted, Buffer, Buffer> {
    return yield { bytes, as: 'read' }
  }

  /** Reads a header that goes on as it is. */
  *#header(bytes: number): Generator<Wanted, Buffer, Buffer> {
    const header = yield* this.#read(bytes)
    this.#passed.push(header)
    return header
  }

  *#pass(bytes: number): Parser {
    yield { bytes, as: 'passed' }
  }

  *#messages(): Parser {
    const init = yield* this.#header(24)
    requireTrueColour(init.subarray(4, 20))
    yield* this.#pass(atMost(mostNameBytes, init.readUInt32BE(20), 'name'))
    for (;;) yield* this.#message()
  }

  *#message(): Parser {
    const type = yield* this.#read(1)
    if (type[0] === 3) return yield* this.#cutText(type)
    this.#passed.push(type)
    switch (type[0]) {
      case 0:
        return yield* this.#update()
      case 1:
        return yield* this.#pass(6 * (yield* this.#header(5)).readUInt16BE(3))
      // Bell, EndOfContinuousUpdates.
      case 2:
      case 150:
        return
      case 248:
        return yield* this.#pass(atMost(mostFenceBytes, (yield* this.#header(8)).readUInt8(7), 'fence'))
      // xvp
      case 250:
        return yield* this.#pass(3)
      default:
        throw new RfbViolation(`the machine sent a message of the unknown type ${type[0]}`)
    }
  }

  /** A negative length means the extended clipboard. */
  *#cutText(type: Buffer): Parser {
    const header = yield* this.#read(7)
    const bytes = Math.abs(header.readInt32BE(3))
    const isDropped = this.#dropsClipboard()
    if (!isDropped) this.#passed.push(type, header)
    yield { bytes, as: isDropped ? 'dropped' : 'passed' }
  }

  *#update(): Parser {
    const rectangles = (yield* this.#header(3)).readUInt16BE(1)
    for (let n = 0; n < rectangles; n++) {
      const header = yield* this.#header(12)
      const encoding = header.readInt32BE(8)
      // How many there are is not known before, and this was the last.
      if (encoding === lastRect) return
      yield* this.#rectangle(encoding, header.readUInt16BE(4), header.readUInt16BE(6))
    }
  }

  *#rectangle(encoding: number, width: number, height: number): Parser {
    switch (encoding) {
      case raw:
        return yield* this.#pass(width * height * pixelBytes)
      case copyRect:
        return yield* this.#pass(4)
      case tight:
      case tightPng:
        return yield* this.#tight(encoding, width, height)
      case zrle:
        return yield* this.#pass((yield* this.#header(4)).readUInt32BE(0))
      case cursor:
        return yield* this.#pass(width * height * pixelBytes + Math.ceil(width / 8) * height)
      case extendedDesktopSize:
        return yield* this.#pass(16 * (yield* this.#header(4)).readUInt8(0))
      case desktopName:
        return yield* this.#pass(atMost(mostNameBytes, (yield* this.#header(4)).readUInt32BE(0), 'name'))
      case desktopSize:
      case qemuExtendedKey:
      case extendedMouseButtons:
        return
      default:
        throw new RfbViolation(`the machine used encoding ${encoding}, which nobody asked for`)
    }
  }

  *#tight(encoding: number, width: number, height: number): Parser {
    const control = (yield* this.#header(1)).readUInt8(0)
    const kind = control >> 4
    if (kind === 8) return yield* this.#pass(tightPixelBytes)
    if (kind === 9 || (kind === 10 && encoding === tightPng)) return yield* this.#pass(yield* this.#compactLength())
    if (kind > 7) throw new RfbViolation(`Tight of the unknown kind ${kind}`)
    const filter = control & 0x40 ? (yield* this.#header(1)).readUInt8(0) : 0
    const bytes = yield* this.#filteredBytes(filter, width, height)
    yield* this.#pass(bytes < tightLeastCompressed ? bytes : yield* this.#compactLength())
  }

  /** Length of the pixels before they are compressed. */
  *#filteredBytes(filter: number, width: number, height: number): Generator<Wanted, number, Buffer> {
    const [copy, palette, gradient] = [0, 1, 2]
    if (filter === copy || filter === gradient) return width * height * tightPixelBytes
    if (filter !== palette) throw new RfbViolation(`Tight with the unknown filter ${filter}`)
    const colours = (yield* this.#header(1)).readUInt8(0) + 1
    yield* this.#pass(colours * tightPixelBytes)
    return colours <= 2 ? Math.ceil(width / 8) * height : width * height
  }

  /** One to three bytes, seven bits each but for the last, the lowest first. */
  *#compactLength(): Generator<Wanted, number, Buffer> {
    const first = (yield* this.#header(1)).readUInt8(0)
    if (first < 0x80) return first
    const second = (yield* this.#header(1)).readUInt8(0)
    const low = (first & 0x7f) | ((second & 0x7f) << 7)
    return second < 0x80 ? low : low | ((yield* this.#header(1)).readUInt8(0) << 14)
  }
}

/** 32 bits a pixel, eight each for red, green and blue: what Xtigervnc has and noVNC asks for. */
function requireTrueColour(format: Buffer): void {
  const [bitsPerPixel, depth, , trueColour] = format
  const most = [format.readUInt16BE(4), format.readUInt16BE(6), format.readUInt16BE(8)]
  if (bitsPerPixel !== 32 || depth !== 24 || trueColour === 0 || most.some((value) => value !== 255))
    throw new RfbViolation(`pixels of ${bitsPerPixel} bits and depth ${depth}`)
}

function atMost(limit: number, bytes: number, what: string): number {
  if (bytes > limit) throw new RfbViolation(`a ${what} of ${bytes} bytes`)
  return bytes
}
