import { expect, test } from 'vitest'
import { nearest } from './nearest.ts'

test.each([
  ['memory_mb', ['memory_mib', 'vcpus', 'binary'], 'memory_mib'],
  ['lisetn', ['listen', 'limits'], 'listen'],
  ['Listen', ['listen', 'limits'], 'listen'],
  ['colour', ['listen', 'limits'], undefined],
  ['x', [], undefined],
])('%s among %j is %s', (name, known, expected) => {
  expect(nearest(name, known)).toBe(expected)
})
