import { expect, test } from 'vitest'
import { CrashSweep, printResults, seed, shuffled, writeResults } from '../crash/sweep.ts'

/** Sooner than all of them on a slow host; how many were reached is said at the end. CRASH_MINUTES: as long as it takes. */
const budgetMs = Number(process.env.CRASH_MINUTES ?? 15) * 60_000

test(`a controller that dies at any await that a session passes leaves nothing behind and tells no lie (seed ${seed})`, async () => {
  const endsAt = performance.now() + budgetMs
  const sweep = await CrashSweep.open('crash-sweep')
  try {
    const points = shuffled(await sweep.points(), ({ point }) => point)
    const results = []
    for (const point of points) {
      if (performance.now() > endsAt) break
      results.push(await sweep.crashAt(point))
      // What was found until then is not lost with a sweep that is ended.
      await writeResults('crash-sweep', results)
    }
    printResults(results, sweep.sites)
    console.log(`${results.length} of ${points.length} moments were reached`)
    expect(results.flatMap(({ leaks, lies, stuck, lost }) => [...leaks, ...lies, ...stuck, ...lost])).toEqual([])
    // Some stories take another turn each time; few do, and of a handful of moments one may be among them.
    expect(results.filter(({ died }) => !died).length).toBeLessThanOrEqual(Math.max(1, results.length / 10))
  } finally {
    await sweep.close()
  }
})
