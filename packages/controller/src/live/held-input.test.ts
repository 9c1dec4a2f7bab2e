import { expect, test } from 'vitest'
import { HeldInput } from './held-input.ts'

const key = (down: number, keysym: number): Buffer => Buffer.from([4, down, 0, 0, 0, 0, 0, keysym])
const qemuKey = (down: number, keysym: number): Buffer => Buffer.from([255, 0, 0, down, 0, 0, 0, keysym, 0, 0, 0, 30])

function heldAfter(...messages: Buffer[]): HeldInput {
  const held = new HeldInput()
  for (const message of messages) held.note(message)
  return held
}

test('lets go of what is down, once', () => {
  const held = heldAfter(key(1, 97), key(1, 98), key(0, 97), qemuKey(1, 99), qemuKey(1, 100), qemuKey(0, 100))
  expect(held.release()).toEqual([key(0, 98), qemuKey(0, 99)])
  expect(held.release()).toEqual([])
})

test('lets go of the buttons where the pointer is, also of those of a longer message', () => {
  expect(heldAfter(Buffer.from([5, 1, 0, 10, 0, 20])).release()).toEqual([Buffer.from([5, 0, 0, 10, 0, 20])])
  expect(heldAfter(Buffer.from([5, 0x81, 0, 10, 0, 20, 1])).release()).toEqual([Buffer.from([5, 0, 0, 10, 0, 20])])
  expect(heldAfter(Buffer.from([5, 1, 0, 1, 0, 2]), Buffer.from([5, 0, 0, 3, 0, 4])).release()).toEqual([])
})

test('of whoever presses for ever it remembers no more than there are fingers', () => {
  const held = heldAfter(...Array.from({ length: 1000 }, (_, n) => Buffer.from([4, 1, 0, 0, 0, 0, n >> 8, n & 0xff])))
  const released = held.release()
  expect(released).toHaveLength(64)
  expect(released.at(-1)).toEqual(Buffer.from([4, 0, 0, 0, 0, 0, 3, 0xe7]))
})
