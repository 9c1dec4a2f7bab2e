import { RfbViolation } from '@anteroom/rfb'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { configSchema } from '../config.ts'
import { ClientMessageFilter } from './client-message-filter.ts'
import { clientMessages, maxClipboardBytes } from './client-messages.ts'
import { cut } from './live.fixture.ts'
import type { LiveAccess, LivePolicy } from './live.ts'

const u16 = (value: number): number[] => [value >> 8, value & 255]
const u32 = (value: number): number[] => [(value >> 24) & 255, (value >> 16) & 255, (value >> 8) & 255, value & 255]
const bytes = (min: number, max = min) => fc.array(fc.integer({ min: 0, max: 255 }), { minLength: min, maxLength: max })
const fill = (...types: number[]) => ({ of: (length: number) => bytes(length).map((rest) => [...types, ...rest]) })

const plainPointer = bytes(4).chain((xy) => fc.integer({ min: 0, max: 127 }).map((mask) => [5, mask, ...xy]))
const cutText = fc.oneof(
  bytes(0, 40).map((text) => [6, 0, 0, 0, ...u32(text.length), ...text]),
  bytes(4, 40).map((data) => [6, 0, 0, 0, ...u32(-data.length), ...data]),
)
/** Any message that noVNC can send, as the bytes on the wire; framed here from the RFC, not by the code under test. */
const message = fc
  .oneof(
    bytes(15).map((rest) => [0, 0, 0, 0, 32, ...rest]),
    fc
      .array(fc.integer({ min: -300, max: 50 }), { maxLength: 30 })
      .map((list) => [2, 0, ...u16(list.length), ...list.flatMap(u32)]),
    fill(3).of(9),
    fill(4).of(7),
    plainPointer,
    cutText,
    fill(150).of(9),
    bytes(0, 64).chain((payload) =>
      fill(248)
        .of(7)
        .map((head) => [...head, payload.length, ...payload]),
    ),
    fill(250).of(3),
    fc
      .integer({ min: 0, max: 3 })
      .chain((screens) =>
        fc.tuple(bytes(5), bytes(1 + 16 * screens)).map(([size, rest]) => [251, ...size, screens, ...rest]),
      ),
    fill(255, 0).of(10),
  )
  .map((list) => Buffer.from(list))

const usual = configSchema.parse({}).live

const passedOn = (access: LiveAccess, chunks: Buffer[], policy: LivePolicy = usual): Buffer => {
  const filter = new ClientMessageFilter(() => access, policy)
  return Buffer.concat(chunks.flatMap((chunk) => filter.push(chunk)))
}

const inView = [0, 2, 3, 150, 248]
const inControl = [...inView, 4, 5, 6, 251, 255]

describe('ClientMessageFilter', () => {
  test.each([
    ['view', inView],
    ['control', inControl],
  ] as const)('%s passes exactly its types, whole and in order, however the bytes are cut', (access, types) => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 30 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
        (messages, sizes) => {
          const all = Buffer.concat(messages)
          const expected = Buffer.concat(messages.filter((one) => types.includes(one.readUInt8(0))))
          for (const chunks of [[all], cut(all, [1]), cut(all, sizes)])
            expect(passedOn(access, chunks).equals(expected)).toBe(true)
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('whatever a view-only viewer sends, nothing that reaches the machine is input', () => {
    const rejected: string[] = []
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (garbage) => {
        const filter = new ClientMessageFilter(() => 'view', usual)
        try {
          for (const one of filter.push(Buffer.from(garbage))) expect(inView).toContain(one.readUInt8(0))
        } catch (error) {
          if (!(error instanceof RfbViolation)) throw error
          rejected.push(error.message)
        }
      }),
      { numRuns: 5000 },
    )
    expect(rejected.length).toBeGreaterThan(1000)
  })

  test('the extended pointer message is one byte longer, but only for those who announced it', () => {
    const announce = Buffer.from([2, 0, 0, 1, ...u32(-316)])
    const key = Buffer.from([4, 1, 0, 0, 0, 0, 0, 97])
    const extended = Buffer.from([5, 0x81, 0, 1, 0, 1, 2])
    expect(passedOn('control', [announce, extended, key])).toEqual(Buffer.concat([announce, extended, key]))
    expect(passedOn('view', [announce, extended, key])).toEqual(announce)
    const plain = Buffer.from([5, 0x81, 0, 1, 0, 1])
    expect(passedOn('control', [plain, key])).toEqual(Buffer.concat([plain, key]))
  })

  test.each([
    ['unknown type', [7]],
    ['xvp of a type nobody knows', [253]],
    ['QEMU audio', [255, 1, 0, 0]],
    ['24 bits per pixel', [0, 0, 0, 0, 24]],
    ['clipboard over the limit', [6, 0, 0, 0, ...u32(maxClipboardBytes + 1)]],
    ['clipboard of 50 MB', [6, 0, 0, 0, ...u32(50_000_000)]],
    ['extended clipboard over the limit', [6, 0, 0, 0, ...u32(-maxClipboardBytes - 1)]],
    ['extended clipboard, the smallest integer', [6, 0, 0, 0, 0x80, 0, 0, 0]],
    ['extended clipboard without flags', [6, 0, 0, 0, ...u32(-3)]],
    ['fence of 65 bytes', [248, 0, 0, 0, 0, 0, 0, 0, 65]],
  ])('%s: refused as soon as it is known, with either access', (_what, start) => {
    for (const access of ['view', 'control'] as const)
      expect(() => passedOn(access, cut(Buffer.from(start), [1]))).toThrow(RfbViolation)
  })

  test('the largest clipboard passes, byte by byte', () => {
    const text = Buffer.concat([
      Buffer.from([6, 0, 0, 0, ...u32(maxClipboardBytes)]),
      Buffer.alloc(maxClipboardBytes, 65),
    ])
    expect(passedOn('control', cut(text, [1])).equals(text)).toBe(true)
    expect(passedOn('view', cut(text, [4096])).length).toBe(0)
  })

  test.each([
    [{ clipboard_to_machine: 'off' }, 6],
    [{ resize: 'off' }, 251],
    [{ clipboard_from_machine: 'off' }, undefined],
  ] as const)('where the policy says %j nothing else is dropped', (change, dropped) => {
    const all = fc.sample(message, { numRuns: 300, seed: 1 })
    const expected = all.filter((one) => inControl.includes(one.readUInt8(0)) && one.readUInt8(0) !== dropped)
    expect(passedOn('control', all, { ...usual, ...change }).equals(Buffer.concat(expected))).toBe(true)
  })

  test('a truncated message reaches nobody', () => {
    expect(passedOn('control', [Buffer.from([4, 1, 0, 0, 0, 0, 0])])).toHaveLength(0)
  })

  test('the table names each type once and passes to viewers what the issue names', () => {
    const passing = (access: LiveAccess) =>
      [...clientMessages].filter(([, m]) => m.passes.includes(access)).map(([n]) => n)
    expect(passing('view').sort()).toEqual([...inView].sort())
    expect(passing('control').sort()).toEqual([...inControl].sort())
  })
})
