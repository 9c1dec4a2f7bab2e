import { expect, test } from 'vitest'
import { type Figures, fuzz } from '../../packages/controller/test/fuzz/fuzz.ts'

/** Each round is a new controller's edge, with a seed of its own that a failure names. */
const requestsPerRound = 500
const rounds = Number(process.env.FUZZ_ROUNDS ?? 10)
const firstSeed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000)

test('no request breaks anything, and every answer is as the description says', async () => {
  const all: Figures[] = []
  for (let round = 0; round < rounds; round++) all.push(await fuzz(firstSeed + round, requestsPerRound))
  const succeeded = new Set(all.flatMap((figures) => [...figures.succeeded]))
  const refused = new Set(all.flatMap((figures) => [...figures.refused]))
  const answers: Record<string, number> = {}
  for (const figures of all)
    for (const [kind, count] of Object.entries(figures.answers)) answers[kind] = (answers[kind] ?? 0) + count
  const sent = all.reduce((sum, figures) => sum + figures.sent, 0)
  const operations = all[0]?.operations ?? 0
  console.log(
    `seeds from ${firstSeed}: ${sent} requests, ${JSON.stringify(answers)}; of ${operations} operations ${succeeded.size} succeeded, ${refused.size} refused`,
  )
  expect(answers['5xx']).toBeUndefined()
  expect(refused.size).toBe(operations)
})
