import { test } from 'vitest'
import { promisesHold } from '../../test/lifecycle-model.ts'

// The same stories each time; test/long tells more of them, and others.
test('the promises about sessions hold in every story', { timeout: 300_000 }, () =>
  promisesHold({ numRuns: 15, seed: 20_240_229 }),
)
