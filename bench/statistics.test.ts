import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatNumber, percentile, summarise } from './statistics.ts'

describe('percentile', () => {
  test.each([
    [[7], 95, 7],
    [[3, 1, 2], 50, 2],
    [[4, 1, 3, 2], 50, 2],
    // The ordinal example of the nearest-rank method: 15, 20, 35, 40, 50.
    [[15, 20, 35, 40, 50], 5, 15],
    [[15, 20, 35, 40, 50], 30, 20],
    [[15, 20, 35, 40, 50], 40, 20],
    [[15, 20, 35, 40, 50], 100, 50],
    // By number, not by letters.
    [[100, 9, 20], 50, 20],
  ])('%j at %i is %i', (values, percent, expected) => {
    expect(percentile(values, percent)).toBe(expected)
  })

  test('of 1 to 100 the 95th is 95, and the order of measurement does not matter', () => {
    const values = Array.from({ length: 100 }, (_, index) => ((index * 37) % 100) + 1)
    expect(summarise(values)).toEqual({ count: 100, min: 1, median: 50, p95: 95 })
  })

  test('is a measured value that enough others do not exceed, and the smallest such', () => {
    const values = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 })
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 100 }), (measured, percent) => {
        const value = percentile(measured, percent)
        const share = (limit: (other: number) => boolean): number => measured.filter(limit).length / measured.length
        expect(measured.some((other) => other === value)).toBe(true)
        expect(share((other) => other <= value) * 100).toBeGreaterThanOrEqual(percent - 1e-9)
        expect(share((other) => other < value) * 100).toBeLessThan(percent)
      }),
    )
  })

  test.each([[[]], [[1, Number.NaN]]])('of %j there is none', (values) => {
    expect(() => percentile(values, 50)).toThrow(RangeError)
  })
})

test.each([
  [0, '0'],
  [0.12345, '0.123'],
  [4.5678, '4.57'],
  [12.34, '12.3'],
  [1234.5, '1235'],
  [17, '17'],
  [-0.5, '-0.500'],
])('%d is printed as %s', (value, expected) => {
  expect(formatNumber(value)).toBe(expected)
})
