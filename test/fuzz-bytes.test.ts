import { expect, test } from 'vitest'
import { fuzzGuests } from './fuzz/agent-link.ts'
import { fuzz } from './fuzz/fuzz.ts'
import { fuzzProviders } from './fuzz/providers.ts'
import { fuzzMachines, fuzzViewers } from './fuzz/rfb.ts'

/** A sample of what test/long/fuzz-bytes.test.ts does for a minute each, the same each time. */
const rounds = 80

test.each([
  ['viewers of a screen', fuzzViewers],
  ['machines behind a screen', fuzzMachines],
  ['guests behind the agent link', fuzzGuests],
  ['provider definitions', async () => fuzzProviders()],
])('%s', async (name, open) => {
  expect(await fuzz(name, await open(), 1, (done) => done >= rounds)).toBe(rounds)
})
