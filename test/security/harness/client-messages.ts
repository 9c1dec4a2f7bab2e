import fc from 'fast-check'

/** Messages of an RFB client as a machine's server takes them (RFC 6143 section 7.5; rfbproto for 150, 248, 250, 251, 255). */
const u8 = (...values: number[]): Buffer => Buffer.from(values)
const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff])
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}
const cat = (...parts: Buffer[]): Buffer => Buffer.concat(parts)

const cutText = (text: Buffer): Buffer => cat(u8(6, 0, 0, 0), u32(text.length), text)
/** A negative length, then flags and data. */
const extendedCutText = (flags: number, data: Buffer): Buffer =>
  cat(u8(6, 0, 0, 0), u32(-(4 + data.length)), u32(flags), data)
const setEncodings = (encodings: readonly number[]): Buffer =>
  cat(u8(2, 0), u16(encodings.length), ...encodings.map((encoding) => u32(encoding)))
const extendedMouseButtons = -316

/** What may pass. */
export const messages = {
  request: cat(u8(3, 1), u16(0), u16(0), u16(4), u16(2)),
  encodings: setEncodings([7, 0, -308, -223]),
} as const

/** What must not, one of each kind. */
export const forbidden: Readonly<Record<string, Buffer>> = {
  KeyEvent: cat(u8(4, 1, 0, 0), u32(97)),
  PointerEvent: cat(u8(5, 1), u16(1), u16(1)),
  'PointerEvent with extended buttons': cat(setEncodings([extendedMouseButtons]), u8(5, 0x81), u16(1), u16(1), u8(1)),
  ClientCutText: cutText(Buffer.from('of the attacker')),
  'extended clipboard, provide': extendedCutText(0x10000001, Buffer.from('x')),
  'extended clipboard, notify': extendedCutText(0x08000001, Buffer.alloc(0)),
  'extended clipboard, request': extendedCutText(0x02000001, Buffer.alloc(0)),
  xvp: u8(250, 0, 1, 2),
  SetDesktopSize: cat(u8(251, 0), u16(800), u16(600), u8(1, 0), u32(1), u16(0), u16(0), u16(800), u16(600), u32(0)),
  'QEMU key': cat(u8(255, 0), u16(1), u32(97), u32(30)),
}

const byte = fc.integer({ min: 0, max: 255 })
const word = fc.integer({ min: 0, max: 0xffff })
const long = fc.integer({ min: 0, max: 0xffffffff })
const bytes = (minLength: number, maxLength = minLength) =>
  fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array))

/** A right message of any kind, with whatever in it. */
export const anyMessage: fc.Arbitrary<Buffer> = fc.oneof(
  fc.tuple(bytes(3), fc.constantFrom(8, 16, 32), bytes(15)).map(([pad, bits, rest]) => cat(u8(0), pad, u8(bits), rest)),
  fc
    .array(fc.oneof(long, fc.constantFrom(extendedMouseButtons, -308, -258, 0xc0a1e5ce)), { maxLength: 12 })
    .map(setEncodings),
  bytes(9).map((rest) => cat(u8(3), rest)),
  bytes(7).map((rest) => cat(u8(4), rest)),
  // Without the bit that would make it one byte longer, for viewers that have asked for that.
  fc.tuple(fc.integer({ min: 0, max: 127 }), bytes(4)).map(([mask, rest]) => cat(u8(5, mask), rest)),
  bytes(0, 300).map(cutText),
  fc.tuple(long, bytes(0, 300)).map(([flags, data]) => extendedCutText(flags, data)),
  bytes(9).map((rest) => cat(u8(150), rest)),
  fc.tuple(bytes(7), bytes(0, 64)).map(([head, data]) => cat(u8(248), head, u8(data.length), data)),
  bytes(3).map((rest) => cat(u8(250), rest)),
  fc
    .tuple(word, word, fc.array(bytes(16), { maxLength: 4 }))
    .map(([w, h, screens]) => cat(u8(251, 0), u16(w), u16(h), u8(screens.length, 0), ...screens)),
  bytes(10).map((rest) => cat(u8(255, 0), rest)),
)

/** Cut off, with a byte changed, of a kind that does not exist, or noise. What comes after it means whatever it means. */
export const broken: fc.Arbitrary<Buffer> = fc.oneof(
  fc.tuple(anyMessage, fc.nat(400)).map(([message, at]) => message.subarray(0, at % message.length)),
  fc.tuple(anyMessage, fc.nat(400), byte).map(([message, at, value]) => {
    const changed = Buffer.from(message)
    changed[at % changed.length] = value
    return cat(changed, ...Object.values(forbidden))
  }),
  fc.tuple(byte, bytes(0, 40)).map(([type, rest]) => cat(u8(type), rest, ...Object.values(forbidden))),
  bytes(1, 400),
)
