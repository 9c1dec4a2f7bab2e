import { expect, test } from 'vitest'
import { fuzzGuests } from '../fuzz/agent-link.ts'
import { forSeconds, fuzz, longSeconds, newSeed } from '../fuzz/fuzz.ts'
import { fuzzProviders } from '../fuzz/providers.ts'
import { fuzzMachines, fuzzViewers } from '../fuzz/rfb.ts'

test.each([
  ['viewers of a screen', fuzzViewers],
  ['machines behind a screen', fuzzMachines],
  ['guests behind the agent link', fuzzGuests],
  ['provider definitions', async () => fuzzProviders()],
])('%s, FUZZ_SECONDS long', async (name, open) => {
  expect(await fuzz(name, await open(), newSeed(), forSeconds(longSeconds))).toBeGreaterThan(0)
})
