/** What is told of many measurements. */
export interface Summary {
  readonly count: number
  readonly min: number
  readonly median: number
  readonly p95: number
}

/**
 * The nearest-rank percentile: the smallest measured value that at least `percent` of all values do not exceed. It is always a
 * value that was measured, never one in between, and of few values the high ones are simply the largest.
 */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = Float64Array.from(values).sort()
  const value = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]
  if (value === undefined || sorted.some(Number.isNaN)) throw new RangeError('no statistics without measurements')
  return value
}

export const median = (values: readonly number[]): number => percentile(values, 50)

export const summarise = (values: readonly number[]): Summary => ({
  count: values.length,
  min: percentile(values, 0),
  median: median(values),
  p95: percentile(values, 95),
})

/** Three significant digits, more only for whole numbers: 0.123, 4.56, 78.9, 1234. */
export function formatNumber(value: number): string {
  const size = Math.abs(value)
  if (Number.isInteger(value) || size >= 100) return value.toFixed(0)
  return value.toFixed(size >= 10 ? 1 : size >= 1 ? 2 : 3)
}
