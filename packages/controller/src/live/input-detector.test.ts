import { describe, expect, test } from 'vitest'
import { InputDetector } from './input-detector.ts'

const u32 = (value: number): number[] => [(value >>> 24) & 255, (value >> 16) & 255, (value >> 8) & 255, value & 255]
const text = [...Buffer.from('text')]
const pointerAt = (x: number, y: number, buttons = 0): Buffer => Buffer.from([5, buttons, 0, x, 0, y])
/** Length, then flags: the action in the upper, the formats in the lower bits. */
const extendedClipboard = (action: number): number[] => [6, 0, 0, 0, ...u32(-4), ...u32(action | 1)]

describe('of what a viewer sends', () => {
  test.each([
    ['a key', true, [4, 1, 0, 0, 0, 0, 0, 97]],
    ['a key with its scan code', true, [255, 0, 0, 1, 0, 0, 0, 97, 0, 0, 0, 30]],
    ['a pasted text', true, [6, 0, 0, 0, ...u32(4), ...text]],
    ['a pasted text that is announced', true, extendedClipboard(1 << 27)],
    ['what it can do with clipboards', false, extendedClipboard(1 << 24)],
    ['a request for the clipboard of the machine', false, extendedClipboard(1 << 25)],
    ['the text that the machine asked for', false, extendedClipboard(1 << 28)],
    ['a request for a picture', false, [3, 1, 0, 0, 0, 0, 0, 4, 0, 2]],
    ['continuous updates', false, [150, 1, 0, 0, 0, 0, 0, 4, 0, 2]],
    ['a fence', false, [248, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['the size of its window', false, [251, 0, 0, 4, 0, 2, 0, 0]],
    ['pixel formats and encodings', false, [2, 0, 0, 0]],
  ])('%s: %s', (_what, isInput, bytes) => {
    expect(new InputDetector().isInput(Buffer.from(bytes))).toBe(isInput)
  })

  test('a pointer counts when it moves or a button changes, not where it rests', () => {
    const detector = new InputDetector()
    const told = [
      pointerAt(5, 5),
      pointerAt(5, 5),
      pointerAt(6, 5),
      pointerAt(6, 5),
      pointerAt(6, 5, 1),
      pointerAt(6, 5),
    ]
    expect(told.map((message) => detector.isInput(message))).toEqual([false, false, true, false, true, true])
  })
})
