import { createHash, randomInt } from 'node:crypto'
import { expect, test } from 'vitest'
import { type CrashPoint, CrashSweep, printResults, type Way, writeResults } from '../crash/sweep.ts'

/** The same seed chooses the same points: `CRASH_SEED=… npm test -- e2e test/faults/crash-sweep.test.ts`. */
const seed = Number(process.env.CRASH_SEED ?? randomInt(1_000_000))
const sampleSize = 10
const ways: readonly Way[] = ['completes', 'start']

const sample = (points: readonly CrashPoint[]): CrashPoint[] => {
  const rank = ({ point }: CrashPoint): string => createHash('sha256').update(`${seed} ${point}`).digest('hex')
  return points.toSorted((a, b) => rank(a).localeCompare(rank(b))).slice(0, sampleSize)
}

test(`a controller that dies at any await leaves nothing behind and tells no lie (seed ${seed})`, async () => {
  const sweep = await CrashSweep.open('crash-sweep')
  try {
    const results = []
    for (const point of sample(await sweep.points(ways))) results.push(await sweep.crashAt(point))
    await writeResults('crash-sample', results)
    printResults(results, sweep.sites)
    expect(results.flatMap(({ leaks, lies, stuck, lost }) => [...leaks, ...lies, ...stuck, ...lost])).toEqual([])
    expect(results.filter(({ died }) => died).length).toBeGreaterThanOrEqual(sampleSize - 1)
  } finally {
    await sweep.close()
  }
})
