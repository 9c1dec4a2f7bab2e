import { expect, test } from 'vitest'
import { fuzz } from '../../test/fuzz/fuzz.ts'

/** A sample with a seed of its own; test/long/fuzz.test.ts goes on from there. */
const requests = 250

test('no request breaks anything, and every answer is as the description says', { timeout: 120_000 }, async () => {
  const { sent, answers, refused } = await fuzz(1, requests)
  expect(sent).toBeGreaterThanOrEqual(requests)
  expect(answers['2xx']).toBeGreaterThan(requests / 10)
  expect(answers['4xx']).toBeGreaterThan(requests / 3)
  expect(answers['5xx']).toBeUndefined()
  expect(refused.size).toBeGreaterThan(0)
})
