import type { Socket } from 'node:net'
import { AppError, type Scope } from '@anteroom/base'
import type { RfbEndpoint } from './live.ts'
import { readExactly } from './read-exactly.ts'
import { connectToMachine, sharedClientInit } from './rfb-handshake.ts'
import { RfbViolation } from './rfb-violation.ts'

/**
 * An X screen on which nothing was painted is one colour and the mouse pointer: at most three colours, and the pointer
 * (16 × 16) is 0.03 % of 1280 × 800. A browser window that is mapped but has not painted yet is one colour too. A browser
 * that did paint shows a toolbar and text: dozens of colours, and no page is so empty that its toolbar, about a tenth of
 * the screen, would not take the largest share well below 99.5 %.
 */
const fewestColours = 4
const largestShare = 0.995

const deadlineMs = 10_000
/** What a lying guest can make this process look at. */
const maxPixels = 8192 * 8192
const maxTextBytes = 1024 * 1024
/** Messages other than the picture that may come first (bell, clipboard, colours). */
const maxMessages = 100

/** True colour in one byte a pixel (RFC 6143 section 7.4): a quarter of the bytes, and distinct enough for a histogram. */
const eightBitPixels = Buffer.from([0, 0, 0, 0, 8, 8, 0, 1, 0, 7, 0, 7, 0, 3, 0, 3, 6, 0, 0, 0])
const rawEncodingOnly = Buffer.from([2, 0, 0, 1, 0, 0, 0, 0])

/** Undefined while the machine's RFB server does not answer, or answers with something else than a picture. */
export async function isPainted(endpoint: RfbEndpoint, scope: Scope): Promise<boolean | undefined> {
  try {
    return await scope.run({ name: 'look at the screen', deadlineMs }, async (inner) => {
      const socket = await connectToMachine(endpoint, inner)
      inner.defer(() => void socket.destroy())
      return judge(await readHistogram(socket, inner))
    })
  } catch (error) {
    scope.throwIfOver()
    scope.log.debug({ error: AppError.from(error, 'display_blank') }, 'the screen does not answer yet')
    return undefined
  }
}

function judge(pixelsOfColour: Uint32Array): boolean {
  const colours = pixelsOfColour.filter((pixels) => pixels > 0)
  const total = colours.reduce((sum, pixels) => sum + pixels, 0)
  return colours.length >= fewestColours && Math.max(...colours) / total < largestShare
}

/** Asks for the whole picture once and counts the pixels of each colour. */
async function readHistogram(socket: Socket, scope: Scope): Promise<Uint32Array> {
  socket.write(sharedClientInit)
  const init = await readExactly(socket, 24, scope)
  const [width, height, nameBytes] = [init.readUInt16BE(0), init.readUInt16BE(2), init.readUInt32BE(20)]
  if (width * height === 0 || width * height > maxPixels) throw new RfbViolation(`a screen of ${width} × ${height}`)
  await skip(socket, nameBytes, scope)
  const request = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  request.writeUInt16BE(width, 6)
  request.writeUInt16BE(height, 8)
  socket.write(Buffer.concat([eightBitPixels, rawEncodingOnly, request]))
  const histogram = new Uint32Array(256)
  let missing = width * height
  for (let messages = 0; missing > 0; messages++) {
    if (messages === maxMessages) throw new RfbViolation('no whole picture')
    missing -= await readMessage(socket, histogram, width, scope)
  }
  return histogram
}

/** Reads one message of the server; gives the number of pixels in it. */
async function readMessage(socket: Socket, histogram: Uint32Array, width: number, scope: Scope): Promise<number> {
  const type = (await readExactly(socket, 1, scope)).readUInt8(0)
  switch (type) {
    case 0:
      return await readUpdate(socket, histogram, width, scope)
    case 1:
      await skip(socket, 6 * (await readExactly(socket, 5, scope)).readUInt16BE(3), scope)
      return 0
    case 2:
      return 0
    case 3:
      await skip(socket, (await readExactly(socket, 7, scope)).readUInt32BE(3), scope)
      return 0
    default:
      throw new RfbViolation(`server message ${type}`)
  }
}

async function readUpdate(socket: Socket, histogram: Uint32Array, width: number, scope: Scope): Promise<number> {
  const rectangles = (await readExactly(socket, 3, scope)).readUInt16BE(1)
  let pixels = 0
  for (let n = 0; n < rectangles; n++) {
    const head = await readExactly(socket, 12, scope)
    const [columns, rows, encoding] = [head.readUInt16BE(4), head.readUInt16BE(6), head.readInt32BE(8)]
    if (encoding !== 0 || columns > width) throw new RfbViolation(`a rectangle ${columns} wide in encoding ${encoding}`)
    pixels += columns * rows
    if (pixels > maxPixels) throw new RfbViolation('more pixels than the screen has')
    for (let row = 0; row < rows; row++)
      for (const colour of await readExactly(socket, columns, scope)) histogram[colour] = (histogram[colour] ?? 0) + 1
  }
  return pixels
}

async function skip(socket: Socket, bytes: number, scope: Scope): Promise<void> {
  if (bytes > maxTextBytes) throw new RfbViolation(`a text of ${bytes} bytes`)
  await readExactly(socket, bytes, scope)
}
