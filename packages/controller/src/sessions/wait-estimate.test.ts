import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { restMs, waitsMs } from './wait-estimate.ts'

const hour = 3_600_000

describe('a session will have its machine', () => {
  test.each([
    ['as long as those before it, who had theirs longer', 50, hour, [10, 60, 100, 140], 50],
    ['never beyond its limits', 50, 20, [10, 60, 100, 140], 20],
    ['until its limits, when it has outlasted them all', 200, 700, [10, 60, 100, 140], 700],
    ['until its limits, when there were none', 0, 700, [], 700],
    ['no longer, when its limit has passed', 0, -5, [100], 0],
  ])('%s', (_, heldMs, limitMs, history, rest) => expect(restMs(heldMs, limitMs, history)).toBe(rest))
})

describe('the queue', () => {
  test('gets the machines in the order in which they become free, again and again', () => {
    expect(waitsMs(5, { free: 0, rests: [70, 20], history: [100] })).toEqual([20, 70, 120, 170, 220])
  })
  test('does not wait for machines that are free', () => {
    expect(waitsMs(3, { free: 2, rests: [30], history: [100] })).toEqual([0, 0, 30])
  })
  test.each([
    ['without history', { free: 1, rests: [10], history: [] }],
    ['while there is no machine at all', { free: 0, rests: [], history: [100] }],
  ])('%s nothing tells', (_, moving) => expect(waitsMs(2, moving)).toBeUndefined())

  test('never tells somebody less than those before them', () => {
    const times = fc.array(fc.nat(1000), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(fc.nat(100), fc.nat(5), times, times, (places, free, rests, history) => {
        const waits = waitsMs(places, { free, rests, history }) ?? []
        expect(waits).toHaveLength(places)
        expect(waits).toEqual(waits.toSorted((a, b) => a - b))
      }),
    )
  })
})
