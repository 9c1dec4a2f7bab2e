import { expect, test } from 'vitest'
import { CrashSweep, printResults, seed, shuffled, type Way, writeResults } from '../crash/sweep.ts'

/** Each costs ten seconds; `npm run test:long` goes through all of them. */
const sampleSize = 5
const ways: readonly Way[] = ['completes', 'start']

test(`a controller that dies at any await leaves nothing behind and tells no lie (seed ${seed})`, async () => {
  const sweep = await CrashSweep.open('crash-sweep')
  try {
    const results = []
    for (const point of shuffled(await sweep.points(ways), ({ point }) => point).slice(0, sampleSize))
      results.push(await sweep.crashAt(point))
    await writeResults('crash-sample', results)
    printResults(results, sweep.sites)
    expect(results.flatMap(({ leaks, lies, stuck, lost }) => [...leaks, ...lies, ...stuck, ...lost])).toEqual([])
    expect(results.filter(({ died }) => died).length).toBeGreaterThanOrEqual(sampleSize - 1)
  } finally {
    await sweep.close()
  }
})
