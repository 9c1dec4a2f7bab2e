import { test } from 'vitest'
import { promisesHold } from '../../packages/controller/test/lifecycle-model.ts'

/** FUZZ_SEED: the same stories each time. */
const { FUZZ_SEED } = process.env

test('the promises about sessions hold in three hundred stories', () =>
  promisesHold({ numRuns: 300, ...(FUZZ_SEED !== undefined && { seed: Number(FUZZ_SEED) }) }))
