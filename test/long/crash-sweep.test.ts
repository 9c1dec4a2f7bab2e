import { expect, test } from 'vitest'
import { CrashSweep, printResults, writeResults } from '../crash/sweep.ts'

/** What is not reached until then is said in the table; nothing of what is left is chosen by hand. */
const budgetMs = 15 * 60_000

test('a controller that dies at any await that a session passes leaves nothing behind and tells no lie', async () => {
  const endsAt = performance.now() + budgetMs
  const sweep = await CrashSweep.open('crash-sweep')
  try {
    const points = await sweep.points()
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
    // A story that is told again may take another turn; few do.
    expect(results.filter(({ died }) => !died).length).toBeLessThanOrEqual(results.length / 10)
  } finally {
    await sweep.close()
  }
})
