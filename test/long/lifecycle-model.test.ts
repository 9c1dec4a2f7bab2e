import { test } from 'vitest'
import { promisesHold } from '../../packages/controller/test/lifecycle-model.ts'

test('the promises about sessions hold in three hundred stories', () => promisesHold({ numRuns: 300 }))
