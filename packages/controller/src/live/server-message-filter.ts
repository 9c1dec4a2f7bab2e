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
const qemuLeds = -261
const desktopName = -307
const extendedDesktopSize = -308
const fence = -312
const continuousUpdates = -313
const extendedMouseButtons = -316
const vmwareCursor = 0x574d5664
const extendedClipboard = 0xc0a1e5ce | 0
const known: ReadonlySet<number> = new Set([
  ...[raw, copyRect, tight, zrle, desktopSize, lastRect, cursor, qemuExtendedKey, tightPng, desktopName],
  ...[extendedDesktopSize, fence, continuousUpdates, extendedMouseButtons, qemuLeds, vmwareCursor],
  extendedClipboard,
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

const cutTextType = 3
/** Of the extended clipboard's flags: what the machine can do, and its questions for what was copied on the viewer's side. */
const clipboardActs = 0xff00_0000 | 0
const [clipboardCaps, clipboardRequest, clipboardPeek] = [1 << 24, 1 << 25, 1 << 26]
/** Flags, and a size for each of 16 formats. */
const mostTalkBytes = 4 + 16 * 4

const setPixelFormat = 0
const setEncodings = 2

/**
 * A viewer's message as the machine may have it, whose answers are parsed: without encodings of unknown length.
 * @throws RfbViolation for pixels of another size than 32 bits
 */
export function parseable(message: Buffer): Buffer {
  if (message[0] === setPixelFormat) requireTrueColour(message.subarray(4, 20))
  if (message[0] !== setEncodings) return message
  const offered: number[] = []
  for (let at = 4; at < message.length; at += 4) offered.push(message.readInt32BE(at))
  const kept = offered.filter((encoding) => known.has(encoding) || isLevel(encoding))
  const shortened = Buffer.alloc(4 + 4 * kept.length)
  shortened.writeUInt8(setEncodings, 0)
  shortened.writeUInt16BE(kept.length, 2)
  for (const [index, encoding] of kept.entries()) shortened.writeInt32BE(encoding, 4 + 4 * index)
  return shortened
}

/** Takes the header at `at`, and gives what takes the next. */
type Step = (bytes: Buffer, at: number) => Step

/**
 * Gives in pieces what goes on to the viewer: everything but the clipboard, while `dropsClipboard` says so. A machine may send
 * nothing but messages of one byte, and the thread that reads them serves others too: so there is no object for each of them.
 */
export class ServerMessageFilter {
  readonly #dropsClipboard: () => boolean
  /** First these go by unread, then comes a header for `#step`. */
  #bodyBytes = 0
  #headerBytes = 0
  #step: Step
  /** Of a header whose rest is not here yet. */
  readonly #held = Buffer.alloc(24)
  #heldBytes = 0
  #passed: Buffer[] = []
  /** Where in the chunk begins what has not been passed yet. */
  #from = 0
  /** What is read is not passed: a clipboard, or so much of it that nobody can say yet. */
  #isCut = false
  readonly #cutText = Buffer.from([cutTextType, ...Array.from({ length: 11 }, () => 0)])
  #rectangles = 0
  #encoding = 0
  #width = 0
  #height = 0
  #compactLength = 0

  constructor(dropsClipboard: () => boolean) {
    this.#dropsClipboard = dropsClipboard
    this.#step = this.#expect(24, this.#serverInit)
  }

  /** What it gives lies in `chunk`, but for the header of a clipboard. @throws RfbViolation */
  push(chunk: Buffer): readonly Buffer[] {
    this.#passed = []
    this.#from = 0
    for (let at = 0; at < chunk.length; ) {
      const wasCut = this.#isCut
      at += this.#bodyBytes > 0 ? this.#skipBody(chunk.length - at) : this.#readHeader(chunk, at)
      if (wasCut && !this.#isCut) this.#from = at
    }
    if (!this.#isCut) this.#passUntil(chunk, chunk.length)
    return this.#passed
  }

  #passUntil(chunk: Buffer, end: number): void {
    if (end > this.#from) this.#passed.push(chunk.subarray(this.#from, end))
  }

  #skipBody(available: number): number {
    const bytes = Math.min(this.#bodyBytes, available)
    this.#bodyBytes -= bytes
    if (this.#bodyBytes === 0) this.#isCut = false
    return bytes
  }

  #readHeader(chunk: Buffer, at: number): number {
    const bytes = Math.min(this.#headerBytes - this.#heldBytes, chunk.length - at)
    if (bytes === this.#headerBytes) {
      this.#step = this.#step(chunk, at)
      return bytes
    }
    chunk.copy(this.#held, this.#heldBytes, at, at + bytes)
    this.#heldBytes += bytes
    if (this.#heldBytes === this.#headerBytes) {
      this.#heldBytes = 0
      this.#step = this.#step(this.#held, 0)
    }
    return bytes
  }

  #expect(headerBytes: number, step: Step): Step {
    this.#headerBytes = headerBytes
    return step
  }

  #serverInit(bytes: Buffer, at: number): Step {
    requireTrueColour(bytes.subarray(at + 4, at + 20))
    this.#bodyBytes += atMost(mostNameBytes, bytes.readUInt32BE(at + 20), 'name')
    return this.#expect(1, this.#message)
  }

  #message(bytes: Buffer, at: number): Step {
    switch (bytes[at]) {
      case 0:
        return this.#expect(3, this.#update)
      case 1:
        return this.#expect(5, this.#colours)
      // Bell, EndOfContinuousUpdates.
      case 2:
      case 150:
        return this.#message
      case cutTextType:
        // A header of one byte lies in the chunk.
        this.#passUntil(bytes, at)
        this.#isCut = true
        return this.#expect(7, this.#cutTextLength)
      case 248:
        return this.#expect(8, this.#fence)
      // xvp
      case 250:
        this.#bodyBytes += 3
        return this.#message
      default:
        throw new RfbViolation(`the machine sent a message of the unknown type ${bytes[at]}`)
    }
  }

  #colours(bytes: Buffer, at: number): Step {
    this.#bodyBytes += 6 * bytes.readUInt16BE(at + 3)
    return this.#expect(1, this.#message)
  }

  #fence(bytes: Buffer, at: number): Step {
    this.#bodyBytes += atMost(mostFenceBytes, bytes.readUInt8(at + 7), 'fence')
    return this.#expect(1, this.#message)
  }

  /** A negative length means the extended clipboard: flags of four bytes, then data. */
  #cutTextLength(bytes: Buffer, at: number): Step {
    bytes.copy(this.#cutText, 1, at, at + 7)
    const length = bytes.readInt32BE(at + 3)
    if (length >= 0) return this.#endCutText(8, length, this.#dropsClipboard())
    if (length > -4) throw new RfbViolation('extended clipboard without flags')
    return this.#expect(4, this.#cutTextFlags)
  }

  /** What it can do, and what it asks of the viewer, is not what was copied in it: without it nobody could paste. */
  #cutTextFlags(bytes: Buffer, at: number): Step {
    bytes.copy(this.#cutText, 8, at, at + 4)
    const length = -this.#cutText.readInt32BE(4)
    const acts = bytes.readUInt32BE(at) & clipboardActs
    const isTalk = (acts & clipboardCaps) !== 0 || acts === clipboardRequest || acts === clipboardPeek
    return this.#endCutText(12, length - 4, (!isTalk || length > mostTalkBytes) && this.#dropsClipboard())
  }

  #endCutText(headerBytes: number, bodyBytes: number, isDropped: boolean): Step {
    if (!isDropped) this.#passed.push(Buffer.from(this.#cutText.subarray(0, headerBytes)))
    this.#isCut = isDropped && bodyBytes > 0
    this.#bodyBytes += bodyBytes
    return this.#expect(1, this.#message)
  }

  #update(bytes: Buffer, at: number): Step {
    this.#rectangles = bytes.readUInt16BE(at + 1)
    return this.#nextRectangle()
  }

  #nextRectangle(): Step {
    if (this.#rectangles === 0) return this.#expect(1, this.#message)
    this.#rectangles--
    return this.#expect(12, this.#rectangle)
  }

  #rectangle(bytes: Buffer, at: number): Step {
    this.#width = bytes.readUInt16BE(at + 4)
    this.#height = bytes.readUInt16BE(at + 6)
    this.#encoding = bytes.readInt32BE(at + 8)
    const pixels = this.#width * this.#height
    switch (this.#encoding) {
      case raw:
        return this.#rectangleOf(pixels * pixelBytes)
      case copyRect:
        return this.#rectangleOf(4)
      case tight:
      case tightPng:
        return this.#expect(1, this.#tight)
      case zrle:
        return this.#expect(4, this.#zrle)
      case cursor:
        return this.#rectangleOf(pixels * pixelBytes + Math.ceil(this.#width / 8) * this.#height)
      case vmwareCursor:
        return this.#expect(2, this.#vmwareCursor)
      case qemuLeds:
        return this.#rectangleOf(1)
      case extendedDesktopSize:
        return this.#expect(4, this.#screens)
      case desktopName:
        return this.#expect(4, this.#name)
      case desktopSize:
      case qemuExtendedKey:
      case extendedMouseButtons:
        return this.#nextRectangle()
      // How many there are was not known before, and this was the last.
      case lastRect:
        return this.#expect(1, this.#message)
      default:
        throw new RfbViolation(`the machine used encoding ${this.#encoding}, which nobody asked for`)
    }
  }

  #rectangleOf(bodyBytes: number): Step {
    this.#bodyBytes += bodyBytes
    return this.#nextRectangle()
  }

  #zrle(bytes: Buffer, at: number): Step {
    return this.#rectangleOf(bytes.readUInt32BE(at))
  }

  /** Two masks, or one picture with alpha. */
  #vmwareCursor(bytes: Buffer, at: number): Step {
    const type = bytes.readUInt8(at)
    if (type > 1) throw new RfbViolation(`a VMware cursor of the unknown type ${type}`)
    return this.#rectangleOf(this.#width * this.#height * pixelBytes * (type === 0 ? 2 : 1))
  }

  #screens(bytes: Buffer, at: number): Step {
    return this.#rectangleOf(16 * bytes.readUInt8(at))
  }

  #name(bytes: Buffer, at: number): Step {
    return this.#rectangleOf(atMost(mostNameBytes, bytes.readUInt32BE(at), 'name'))
  }

  #tight(bytes: Buffer, at: number): Step {
    const control = bytes.readUInt8(at)
    const kind = control >> 4
    if (kind === 8) return this.#rectangleOf(tightPixelBytes)
    if (kind === 9 || (kind === 10 && this.#encoding === tightPng)) return this.#expectCompactLength()
    if (kind > 7) throw new RfbViolation(`Tight of the unknown kind ${kind}`)
    if (control & 0x40) return this.#expect(1, this.#tightFilter)
    return this.#tightPixels(this.#width * this.#height * tightPixelBytes)
  }

  #tightFilter(bytes: Buffer, at: number): Step {
    const filter = bytes.readUInt8(at)
    const [copy, palette, gradient] = [0, 1, 2]
    if (filter === palette) return this.#expect(1, this.#tightPalette)
    if (filter !== copy && filter !== gradient) throw new RfbViolation(`Tight with the unknown filter ${filter}`)
    return this.#tightPixels(this.#width * this.#height * tightPixelBytes)
  }

  #tightPalette(bytes: Buffer, at: number): Step {
    const colours = bytes.readUInt8(at) + 1
    this.#bodyBytes += colours * tightPixelBytes
    const rowBytes = colours <= 2 ? Math.ceil(this.#width / 8) : this.#width
    return this.#tightPixels(rowBytes * this.#height)
  }

  /** So many bytes before they are compressed. */
  #tightPixels(bytes: number): Step {
    return bytes < tightLeastCompressed ? this.#rectangleOf(bytes) : this.#expectCompactLength()
  }

  /** One to three bytes, seven bits each but for the last, the lowest first. */
  #expectCompactLength(): Step {
    return this.#expect(1, this.#firstOfLength)
  }

  #firstOfLength(bytes: Buffer, at: number): Step {
    const byte = bytes.readUInt8(at)
    if (byte < 0x80) return this.#rectangleOf(byte)
    this.#compactLength = byte & 0x7f
    return this.#expect(1, this.#secondOfLength)
  }

  #secondOfLength(bytes: Buffer, at: number): Step {
    const byte = bytes.readUInt8(at)
    this.#compactLength |= (byte & 0x7f) << 7
    if (byte < 0x80) return this.#rectangleOf(this.#compactLength)
    return this.#expect(1, this.#thirdOfLength)
  }

  #thirdOfLength(bytes: Buffer, at: number): Step {
    return this.#rectangleOf(this.#compactLength | (bytes.readUInt8(at) << 14))
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
