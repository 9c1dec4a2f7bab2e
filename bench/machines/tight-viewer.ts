import type { Duplex } from 'node:stream'
import type { Scope } from '@anteroom/base'
import { RfbViolation, readExactly, sharedClientInit } from '@anteroom/rfb'

/** RFC 6143 section 7.7, and the registry of the RFB community for Tight and what begins with a minus. */
const encodings = { raw: 0, copyRect: 1, tight: 7, lastRect: -224, cursor: -239, jpegQuality6: -26, compression2: -254 }
/** As noVNC asks: 32 bits a pixel, of which Tight sends 24. */
const setPixelFormat = Buffer.from([0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0])
/** A server that does not know how many rectangles there will be says so, and marks the last one. */
const unknownCount = 0xffff
/** Everything but the window's frame and text is one colour on a start page; nothing at all on a screen without a window. */
const leastDetail = 0.005

export interface Frame {
  readonly bytes: number
  /** Something is to be seen: areas that are not of a single colour. */
  readonly isPainted: boolean
}

/**
 * A viewer that asks for the same encodings as the live view's page, and takes the answer apart as far as to know when the whole
 * screen has been sent, and whether it shows anything. It decodes no picture: that is the page's own time.
 */
export class TightViewer {
  readonly #stream: Duplex
  readonly #area: number
  readonly #request: Buffer

  private constructor(stream: Duplex, init: Buffer) {
    this.#stream = stream
    this.#area = init.readUInt16BE(0) * init.readUInt16BE(2)
    this.#request = Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 0]), init.subarray(0, 4)])
  }

  /** From the version to ServerInit, on a connection that asks for no password. */
  static async open(stream: Duplex, scope: Scope): Promise<TightViewer> {
    stream.on('error', () => {})
    stream.write(await readExactly(stream, 12, scope))
    const types = await readExactly(stream, (await readExactly(stream, 1, scope)).readUInt8(0), scope)
    if (!types.includes(1)) throw new RfbViolation('the gateway asks for a password')
    stream.write(Buffer.of(1))
    await readExactly(stream, 4, scope)
    stream.write(sharedClientInit)
    const init = await readExactly(stream, 24, scope)
    await readExactly(stream, init.readUInt32BE(20), scope)
    stream.write(Buffer.concat([setPixelFormat, setEncodings()]))
    return new TightViewer(stream, init)
  }

  /** Asks for the whole screen and reads until all of it has been sent. */
  async frame(scope: Scope): Promise<Frame> {
    this.#stream.write(this.#request)
    const seen = { bytes: 0, covered: 0, detailed: 0 }
    while (seen.covered < this.#area) {
      const type = (await readExactly(this.#stream, 1, scope)).readUInt8(0)
      if (type === 0) await this.#update(seen, scope)
      else if (type === 3) await this.#read((await this.#read(7, scope)).readUInt32BE(3), scope)
      else if (type !== 2) throw new RfbViolation(`server message ${type}`)
    }
    return { bytes: seen.bytes, isPainted: seen.detailed / this.#area >= leastDetail }
  }

  async #update(seen: { bytes: number; covered: number; detailed: number }, scope: Scope): Promise<void> {
    const count = (await this.#read(3, scope)).readUInt16BE(1)
    for (let n = 0; count === unknownCount || n < count; n++) {
      const head = await this.#read(12, scope)
      const [width, height, encoding] = [head.readUInt16BE(4), head.readUInt16BE(6), head.readInt32BE(8)]
      if (encoding === encodings.lastRect) return
      const { bytes, isFlat } = await this.#rectangle(width, height, encoding, scope)
      seen.bytes += bytes + 12
      if (encoding === encodings.cursor) continue
      seen.covered += width * height
      if (!isFlat) seen.detailed += width * height
    }
  }

  async #rectangle(width: number, height: number, encoding: number, scope: Scope) {
    const rest = async (bytes: number, isFlat = false) => {
      await this.#read(bytes, scope)
      return { bytes, isFlat }
    }
    switch (encoding) {
      case encodings.raw:
        return await rest(width * height * 4)
      case encodings.cursor:
        return await rest(width * height * 4 + Math.ceil(width / 8) * height)
      case encodings.tight:
        return await this.#tight(width, height, rest, scope)
      default:
        throw new RfbViolation(`a rectangle in encoding ${encoding}`)
    }
  }

  async #tight<T>(
    width: number,
    height: number,
    rest: (bytes: number, isFlat?: boolean) => Promise<T>,
    scope: Scope,
  ): Promise<T> {
    const control = (await this.#read(1, scope)).readUInt8(0) >> 4
    if (control === 8) return await rest(3, true)
    if (control === 9) return await rest(await this.#compactLength(scope))
    if (control > 9) throw new RfbViolation(`Tight compression ${control}`)
    const filter = control & 4 ? (await this.#read(1, scope)).readUInt8(0) : 0
    let [bits, isPalette] = [24, filter === 1]
    if (isPalette) {
      const colours = (await this.#read(1, scope)).readUInt8(0) + 1
      await this.#read(colours * 3, scope)
      bits = colours <= 2 ? 1 : 8
    }
    const bytes = Math.ceil((width * bits) / 8) * height
    // What is so short is not compressed.
    return await rest(bytes < 12 ? bytes : await this.#compactLength(scope))
  }

  /** Seven bits a byte, the lowest first, at most three bytes. */
  async #compactLength(scope: Scope): Promise<number> {
    let length = 0
    for (let shift = 0; shift <= 14; shift += 7) {
      const byte = (await this.#read(1, scope)).readUInt8(0)
      length |= (shift === 14 ? byte : byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    return length
  }

  #read(bytes: number, scope: Scope): Promise<Buffer> {
    return readExactly(this.#stream, bytes, scope)
  }
}

function setEncodings(): Buffer {
  const wanted = [
    ...[encodings.tight, encodings.raw, encodings.jpegQuality6, encodings.compression2],
    ...[encodings.lastRect, encodings.cursor],
  ]
  const message = Buffer.alloc(4 + 4 * wanted.length)
  message.writeUInt8(2, 0)
  message.writeUInt16BE(wanted.length, 2)
  for (const [index, encoding] of wanted.entries()) message.writeInt32BE(encoding, 4 + 4 * index)
  return message
}
