import { liveCloseCodes } from '@anteroom/contract'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoffMs, closeWords } from './close-words.ts'
import { keysymOf, keysyms, typedBetween } from './typed-text.ts'

test('every close code of the contract has a reason of its own', () => {
  const reasons = Object.values(liveCloseCodes).map((code) => closeWords(code, true).why)
  expect(new Set(reasons).size).toBe(Object.keys(liveCloseCodes).length)
  expect(reasons).not.toContain(closeWords(1006, true).why)
})

test('a screen that somebody else has, or may not be seen any more, is not taken back', () => {
  const reconnecting = Object.entries(liveCloseCodes).filter(([, code]) => closeWords(code, true).reconnect)
  expect(reconnecting.map(([reason]) => reason)).toEqual([
    'machine_lost',
    'protocol_error',
    'viewer_stalled',
    'controller_stopping',
  ])
})

test('whatever the code, there is a reason, and never only that it was disconnected', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1000, max: 4999 }), fc.boolean(), (code, online) => {
      const { why } = closeWords(code, online)
      expect(why).toMatch(/^[A-Z].{12,}\.$/)
      expect(why).not.toMatch(/disconnected/i)
    }),
  )
  expect(closeWords(1006, false).why).toContain('offline')
})

test('pauses grow, spread, and end', () => {
  expect([1, 2, 3].map((attempt) => backoffMs(attempt, 0.5))).toEqual([250, 500, 1000])
  expect(backoffMs(1, 0)).toBeLessThan(backoffMs(1, 1))
  expect(backoffMs(1000, 1)).toBeLessThanOrEqual(2_000)
})

test('keysyms: Latin-1 as it is, everything else by its code point', () => {
  expect(['a', 'ß', '€', '漢', '😀'].map(keysymOf)).toEqual([0x61, 0xdf, 0x010020ac, 0x01006f22, 0x0101f600])
  expect(keysymOf('\n')).toBe(keysyms.Enter)
})

test('what a phone typed: applied to the text before, it gives the text after', () => {
  expect(typedBetween('__teh', '__the ')).toEqual({ erase: 2, insert: ['h', 'e', ' '] })
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (before, after) => {
      const { erase, insert } = typedBetween(before, after)
      const kept = Array.from(before)
      expect([...kept.slice(0, kept.length - erase), ...insert].join('')).toBe(after)
    }),
  )
})
