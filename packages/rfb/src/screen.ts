import type { Duplex } from 'node:stream'
import type { Scope } from '@anteroom/base'
import { authenticate, sharedClientInit } from './handshake.ts'
import { readExactly } from './read-exactly.ts'
import { RfbViolation } from './rfb-violation.ts'

export interface Region {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** What a region of the screen showed, row by row. */
export interface Picture extends Region {
  readonly pixels: Buffer
}

/** Four: blue, green, red and one that means nothing. One: two bits of blue, three of green, three of red. */
export type PixelBytes = 1 | 4

/** True colour, little endian (RFC 6143 section 7.4). */
const setPixelFormat = {
  1: Buffer.from([0, 0, 0, 0, 8, 8, 0, 1, 0, 7, 0, 7, 0, 3, 0, 3, 6, 0, 0, 0]),
  4: Buffer.from([0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0]),
} as const satisfies Record<PixelBytes, Buffer>
const rawEncodingOnly = Buffer.from([2, 0, 0, 1, 0, 0, 0, 0])

/** What a lying machine can make this process hold. */
const maxPixels = 8192 * 8192
const maxTextBytes = 1024 * 1024
/** Messages other than the picture that may come before it is whole (bell, clipboard, colours). */
const maxMessages = 1000

const keysyms: Readonly<Record<string, number>> = { '\r': 0xff0d, '\t': 0xff09, '\b': 0xff08 }
const leftButton = 1

/**
 * Opens a screen on a connection on which the next message is ClientInit; closes it when that fails.
 * @throws RfbViolation, StreamEnded, AppError at the scope's end
 */
export const openScreen = (stream: Duplex, scope: Scope, pixelBytes: PixelBytes = 4): Promise<Screen> =>
  orClose(stream, async () => {
    stream.write(sharedClientInit)
    const init = await readExactly(stream, 24, scope)
    const [width, height] = [init.readUInt16BE(0), init.readUInt16BE(2)]
    if (width * height === 0 || width * height > maxPixels) throw new RfbViolation(`a screen of ${width} × ${height}`)
    await skip(stream, init.readUInt32BE(20), scope)
    stream.write(Buffer.concat([setPixelFormat[pixelBytes], rawEncodingOnly]))
    return new Screen(stream, width, height, pixelBytes)
  })

/**
 * Opens a screen that asks for no password, such as the gateway's: a WebSocket is a stream by `createWebSocketStream` of ws.
 * @throws RfbViolation, StreamEnded, AppError at the scope's end
 */
export const openScreenWithoutPassword = (stream: Duplex, scope: Scope, pixelBytes?: PixelBytes): Promise<Screen> =>
  orClose(stream, async () => {
    // Reading tells of a broken connection; without a listener it would end the process.
    stream.on('error', () => {})
    await authenticate(stream, undefined, scope)
    return await openScreen(stream, scope, pixelBytes)
  })

async function orClose<T>(stream: Duplex, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation()
  } catch (error) {
    stream.destroy()
    throw error
  }
}

/**
 * A screen that can be looked at, typed on and clicked. One look at a time; a look that was cut short leaves the connection
 * in the middle of a message, so it is closed.
 */
export class Screen {
  readonly whole: Region
  readonly pixelBytes: PixelBytes
  readonly #stream: Duplex

  constructor(stream: Duplex, width: number, height: number, pixelBytes: PixelBytes) {
    this.whole = { x: 0, y: 0, width, height }
    this.pixelBytes = pixelBytes
    this.#stream = stream
  }

  async read(scope: Scope, region: Region = this.whole): Promise<Picture> {
    const [picture] = await this.readAll([region], scope)
    return picture as Picture
  }

  /** What the regions show now; they must not overlap. */
  async readAll(regions: readonly Region[], scope: Scope): Promise<Picture[]> {
    const pictures = regions.map((region) => this.#blank(region))
    this.#stream.write(Buffer.concat(regions.map((region) => updateRequest(region, { incremental: false }))))
    let missing = regions.reduce((sum, { width, height }) => sum + width * height, 0)
    await this.#readUpdates(scope, async () => {
      missing -= await this.#readUpdate(pictures, scope)
      return missing <= 0
    })
    return pictures
  }

  /** Resolves with what the region of `before` shows as soon as that is something else. */
  async changed(before: Picture, scope: Scope): Promise<Picture> {
    const now: Picture = { ...before, pixels: Buffer.from(before.pixels) }
    const request = updateRequest(before, { incremental: true })
    this.#stream.write(request)
    await this.#readUpdates(scope, async () => {
      await this.#readUpdate([now], scope)
      if (!now.pixels.equals(before.pixels)) return true
      this.#stream.write(request)
      return false
    })
    return now
  }

  /** Types characters of Latin-1; `\r` is Return, `\t` is Tab, `\b` is Backspace. */
  type(text: string): void {
    for (const character of text) this.press(keysyms[character] ?? character.charCodeAt(0))
  }

  press(keysym: number): void {
    for (const down of [1, 0]) {
      const event = Buffer.from([4, down, 0, 0, 0, 0, 0, 0])
      event.writeUInt32BE(keysym, 4)
      this.#stream.write(event)
    }
  }

  click(x: number, y: number): void {
    for (const buttons of [0, leftButton, 0]) this.point(x, y, buttons)
  }

  /** The bits of `buttons` are the buttons that are down, the left one first. */
  point(x: number, y: number, buttons = 0): void {
    const event = Buffer.from([5, buttons, 0, 0, 0, 0])
    event.writeUInt16BE(x, 2)
    event.writeUInt16BE(y, 4)
    this.#stream.write(event)
  }

  close(): void {
    this.#stream.destroy()
  }

  #blank(region: Region): Picture {
    const { x, y, width, height } = region
    if (x + width > this.whole.width || y + height > this.whole.height || width * height === 0)
      throw new RangeError(`${width} × ${height} at ${x}, ${y} is not on the screen`)
    return { x, y, width, height, pixels: Buffer.alloc(width * height * this.pixelBytes) }
  }

  /** Reads messages until `onUpdate`, which reads the rest of an update of the picture, says that it has seen enough. */
  async #readUpdates(scope: Scope, onUpdate: () => Promise<boolean>): Promise<void> {
    await orClose(this.#stream, async () => {
      let others = 0
      for (let enough = false; !enough; ) {
        const type = (await readExactly(this.#stream, 1, scope)).readUInt8(0)
        if (type === 0) enough = await onUpdate()
        else if (++others > maxMessages) throw new RfbViolation('no picture')
        else await this.#skipMessage(type, scope)
      }
    })
  }

  async #skipMessage(type: number, scope: Scope): Promise<void> {
    switch (type) {
      case 1:
        return await skip(this.#stream, 6 * (await readExactly(this.#stream, 5, scope)).readUInt16BE(3), scope)
      case 2:
        return
      case 3:
        return await skip(this.#stream, (await readExactly(this.#stream, 7, scope)).readUInt32BE(3), scope)
      default:
        throw new RfbViolation(`server message ${type}`)
    }
  }

  /** Reads the rest of one FramebufferUpdate into the pictures; gives the number of their pixels that were in it. */
  async #readUpdate(pictures: readonly Picture[], scope: Scope): Promise<number> {
    const rectangles = (await readExactly(this.#stream, 3, scope)).readUInt16BE(1)
    let pixels = 0
    for (let n = 0; n < rectangles; n++) {
      const head = await readExactly(this.#stream, 12, scope)
      const [x, y, width, height] = [
        head.readUInt16BE(0),
        head.readUInt16BE(2),
        head.readUInt16BE(4),
        head.readUInt16BE(6),
      ]
      const encoding = head.readInt32BE(8)
      if (encoding !== 0) throw new RfbViolation(`a rectangle in encoding ${encoding}`)
      if (x + width > this.whole.width || y + height > this.whole.height)
        throw new RfbViolation(`a rectangle of ${width} × ${height} at ${x}, ${y}`)
      const bytes = await readExactly(this.#stream, width * height * this.pixelBytes, scope)
      for (const picture of pictures) pixels += this.#copy({ x, y, width, height, pixels: bytes }, picture)
    }
    return pixels
  }

  /** Copies what the two have in common; gives the number of pixels. */
  #copy(from: Picture, to: Picture): number {
    const [left, top] = [Math.max(from.x, to.x), Math.max(from.y, to.y)]
    const columns = Math.min(from.x + from.width, to.x + to.width) - left
    const bottom = Math.min(from.y + from.height, to.y + to.height)
    if (columns <= 0 || bottom <= top) return 0
    const offset = (picture: Picture, row: number): number =>
      ((row - picture.y) * picture.width + left - picture.x) * this.pixelBytes
    for (let row = top; row < bottom; row++) {
      const start = offset(from, row)
      from.pixels.copy(to.pixels, offset(to, row), start, start + columns * this.pixelBytes)
    }
    return columns * (bottom - top)
  }
}

function updateRequest({ x, y, width, height }: Region, { incremental }: { incremental: boolean }): Buffer {
  const request = Buffer.alloc(10)
  request.writeUInt8(3, 0)
  request.writeUInt8(incremental ? 1 : 0, 1)
  for (const [index, value] of [x, y, width, height].entries()) request.writeUInt16BE(value, 2 + 2 * index)
  return request
}

async function skip(stream: Duplex, bytes: number, scope: Scope): Promise<void> {
  if (bytes > maxTextBytes) throw new RfbViolation(`a text of ${bytes} bytes`)
  await readExactly(stream, bytes, scope)
}
