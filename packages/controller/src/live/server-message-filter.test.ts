import { RfbViolation } from '@anteroom/rfb'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cut, serverInit } from './live.fixture.ts'
import { parseable, ServerMessageFilter } from './server-message-filter.ts'

const u16 = (n: number): number[] => [n >> 8, n & 255]
const u32 = (n: number): number[] => [...u16((n >>> 16) & 0xffff), ...u16(n & 0xffff)]
const bytes = (length: number) => fc.array(fc.integer({ min: 0, max: 255 }), { minLength: length, maxLength: length })
/** As Tight says how long something is. */
const compact = (n: number): number[] => {
  if (n < 0x80) return [n]
  return n < 0x4000 ? [(n & 0x7f) | 0x80, n >> 7] : [(n & 0x7f) | 0x80, ((n >> 7) & 0x7f) | 0x80, n >> 14]
}
const compressed = fc.integer({ min: 0, max: 40_000 }).chain((n) => bytes(n).map((data) => [...compact(n), ...data]))
const vmwareCursor = 0x574d5664
const small = fc.integer({ min: 1, max: 9 })

const rectangle = (encoding: number, payload: (width: number, height: number) => fc.Arbitrary<number[]>) =>
  fc
    .tuple(small, small)
    .chain(([width, height]) =>
      payload(width, height).map((data) => [0, 0, 0, 0, ...u16(width), ...u16(height), ...u32(encoding), ...data]),
    )
const nothing = fc.constant<number[]>([])
const prefixed = (prefix: (n: number) => number[], unit: number) =>
  fc.integer({ min: 0, max: 20 }).chain((n) => bytes(n * unit).map((data) => [...prefix(n * unit), ...data]))

/** Uncompressed below twelve bytes. */
const pixels = (length: number): fc.Arbitrary<number[]> => (length < 12 ? bytes(length) : compressed)
const tightOf = (width: number, height: number): fc.Arbitrary<number[]> =>
  fc.oneof(
    bytes(3).map((colour) => [0x80, ...colour]),
    compressed.map((data) => [0x90, ...data]),
    pixels(width * height * 3).map((data) => [0x00, ...data]),
    pixels(width * height * 3).map((data) => [0x40, 0, ...data]),
    pixels(width * height * 3).map((data) => [0x72, 2, ...data]),
    fc
      .integer({ min: 1, max: 256 })
      .chain((colours) =>
        fc
          .tuple(bytes(colours * 3), pixels(colours <= 2 ? Math.ceil(width / 8) * height : width * height))
          .map(([palette, data]) => [0x50, 1, colours - 1, ...palette, ...data]),
      ),
  )

const rectangles = fc.oneof(
  rectangle(0, (width, height) => bytes(width * height * 4)),
  rectangle(1, () => bytes(4)),
  rectangle(7, tightOf),
  rectangle(-260, tightOf),
  rectangle(-260, () => compressed.map((data) => [0xa0, ...data])),
  rectangle(16, () => prefixed(u32, 1)),
  rectangle(-239, (width, height) => bytes(width * height * 4 + Math.ceil(width / 8) * height)),
  rectangle(-307, () => prefixed(u32, 1)),
  rectangle(-308, () => prefixed((n) => [n / 16, 0, 0, 0], 16)),
  rectangle(-261, () => bytes(1)),
  rectangle(vmwareCursor, (width, height) => bytes(width * height * 8).map((masks) => [0, 0, ...masks])),
  rectangle(vmwareCursor, (width, height) => bytes(width * height * 4).map((picture) => [1, 0, ...picture])),
  ...[-223, -258, -316].map((encoding) => rectangle(encoding, () => nothing)),
)
const update = fc
  .array(rectangles, { maxLength: 5 })
  .chain((list) =>
    fc.constantFrom(
      [0, 0, ...u16(list.length), ...list.flat()],
      [0, 0, 255, 255, ...list.flat(), ...[0, 0, 0, 0, 0, 0, 0, 0], ...u32(-224)],
    ),
  )
const other = fc.oneof(
  update,
  bytes(6 * 3).map((colours) => [1, 0, 0, 0, 0, 3, ...colours]),
  fc.constantFrom([2], [150], [250, 0, 1, 2]),
  prefixed((n) => [248, 0, 0, 0, 0, 0, 0, 1, n], 1),
)
const extended = (acts: number, ...data: number[]): number[] => [
  3,
  0,
  0,
  0,
  ...u32(-(4 + data.length)),
  acts,
  0,
  0,
  1,
  ...data,
]
const [caps, asksForIt, peeks, notifies, provides] = [0x1f, 0x02, 0x04, 0x08, 0x10]
/** What is said about clipboards without anything of one. */
const talk = fc.constantFrom(extended(caps, 0, 1, 0, 0), extended(asksForIt), extended(peeks))
const cutText = fc.oneof(
  bytes(20).map((text) => [3, 0, 0, 0, ...u32(text.length), ...text]),
  fc.constantFrom([3, 0, 0, 0, 0, 0, 0, 0], extended(notifies), extended(0)),
  fc.tuple(fc.constantFrom(provides, asksForIt | provides), bytes(20)).map(([acts, text]) => extended(acts, ...text)),
)

/** The memory of each chunk is used again, as the gateway does it. */
const passedOn = (chunks: readonly Buffer[], dropsClipboard = true): Buffer => {
  const filter = new ServerMessageFilter(() => dropsClipboard)
  return Buffer.concat(
    chunks.map((chunk) => {
      const lent = Buffer.from(chunk)
      const passed = Buffer.concat(filter.push(lent))
      lent.fill(0)
      return passed
    }),
  )
}

describe('what the machine says', () => {
  test('goes on to the last byte without its clipboard, however it is cut', () => {
    const kept = fc.oneof({ arbitrary: other, weight: 3 }, talk).map((message) => ({ message, isKept: true }))
    const cutOut = cutText.map((message) => ({ message, isKept: false }))
    const messages = fc.array(fc.oneof({ arbitrary: kept, weight: 3 }, cutOut), { maxLength: 8 })
    const sizes = fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1 })
    fc.assert(
      fc.property(messages, sizes, (list, sizes) => {
        const streamOf = (part: typeof list) =>
          Buffer.concat([serverInit, ...part.map(({ message }) => Buffer.from(message))])
        const all = streamOf(list)
        const kept = streamOf(list.filter(({ isKept }) => isKept))
        for (const chunks of [[all], cut(all, sizes)]) {
          expect(passedOn(chunks).equals(kept)).toBe(true)
          expect(passedOn(chunks, false).equals(all)).toBe(true)
        }
        if (all.length < 2000) expect(passedOn(cut(all, [1])).equals(kept)).toBe(true)
      }),
      { numRuns: 150 },
    )
  })

  test('whether somebody may have it is asked for each clipboard', () => {
    let drops = true
    const filter = new ServerMessageFilter(() => drops)
    filter.push(serverInit)
    const text = Buffer.from([3, 0, 0, 0, 0, 0, 0, 2, 104, 105])
    expect(Buffer.concat(filter.push(text))).toHaveLength(0)
    drops = false
    expect(Buffer.concat(filter.push(text))).toEqual(text)
  })

  const rect = (encoding: number, ...payload: number[]): number[] => [
    ...[0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0, 2],
    ...u32(encoding),
    ...payload,
  ]
  test.each([
    ['a type that nobody knows', [9]],
    ['an encoding that nobody asked for', rect(5)],
    ['an extended clipboard without flags', [3, 0, 0, 0, ...u32(-3), 0, 0, 0]],
    ['a VMware cursor of an unknown type', rect(vmwareCursor, 2, 0)],
    ['the extended clipboard as an encoding', rect(0xc0a1e5ce)],
    ['PNG without having said so', rect(7, 0xa0)],
    ['Tight of an unknown kind', rect(7, 0xb0)],
    ['Tight with an unknown filter', rect(7, 0x40, 3)],
    ['a fence of 65 bytes', [248, 0, 0, 0, 0, 0, 0, 0, 65]],
    ['a name of a gigabyte', rect(-307, 0x40, 0, 0, 0)],
  ])('%s ends it: where that stops nobody knows', (_, words) => {
    expect(() => passedOn([serverInit, Buffer.from(words)])).toThrow(RfbViolation)
  })

  test('pixels of another size end it', () => {
    const other = Buffer.from(serverInit)
    other.writeUInt8(16, 4)
    expect(() => passedOn([other])).toThrow(RfbViolation)
  })

  test('what calls itself talk about clipboards and is too long for that is cut out', () => {
    const long = Buffer.from(extended(caps, ...Array.from({ length: 65 }, () => 7)))
    expect(passedOn([serverInit, long, Buffer.of(2)])).toEqual(Buffer.concat([serverInit, Buffer.of(2)]))
    expect(passedOn([serverInit, long], false)).toEqual(Buffer.concat([serverInit, long]))
  })

  test('a clipboard of two gigabytes takes no memory', () => {
    const filter = new ServerMessageFilter(() => true)
    filter.push(Buffer.concat([serverInit, Buffer.from([3, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff])]))
    const part = Buffer.alloc(1024 * 1024)
    for (let sent = 0; sent < 2047; sent++) expect(filter.push(part)).toEqual([])
    const end = Buffer.concat([part.subarray(1), Buffer.from([2])])
    expect(Buffer.concat(filter.push(end))).toEqual(Buffer.from([2]))
  })
})

describe('what a viewer says to a machine', () => {
  test('names no encoding whose length is not known, and each other one in its order', () => {
    const offered = [
      7,
      5,
      2,
      21,
      50,
      16,
      0,
      1,
      -260,
      -26,
      -250,
      -239,
      -314,
      0xc0a1e5ce | 0,
      vmwareCursor,
      -308,
      -224,
      -312,
    ]
    const kept = [7, 16, 0, 1, -260, -26, -250, -239, 0xc0a1e5ce | 0, vmwareCursor, -308, -224, -312]
    const encodings = (list: number[]) => Buffer.from([2, 0, ...u16(list.length), ...list.flatMap(u32)])
    expect(parseable(encodings(offered))).toEqual(encodings(kept))
  })

  test('asks for pixels of 32 bits with eight for each colour, in any order, or is refused', () => {
    const format = (bits: number, depth: number, most: number) =>
      Buffer.from([0, 0, 0, 0, bits, depth, 0, 1, 0, most, 0, most, 0, most, 0, 8, 16, 0, 0, 0])
    expect(parseable(format(32, 24, 255))).toEqual(format(32, 24, 255))
    for (const other of [format(16, 16, 31), format(32, 30, 255), format(32, 24, 63), format(8, 8, 7)])
      expect(() => parseable(other)).toThrow(RfbViolation)
  })

  test('is as it was otherwise', () => {
    const request = Buffer.from([3, 1, 0, 0, 0, 0, 0, 4, 0, 2])
    expect(parseable(request)).toBe(request)
  })
})
