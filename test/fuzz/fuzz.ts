import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Mutator } from './mutator.ts'

/** What a fuzzer does, one time. Throws what is wrong. */
export interface Fuzzer {
  round(mutator: Mutator): Promise<void>
  stop(): Promise<void>
}

/** Beyond what it keeps at the first: caches and compiled code. */
const mostGrowthMiB = 64
const warmUpRounds = 50

/** `FUZZ_SECONDS`, or what a run of its own takes. */
export const longSeconds = Number(process.env.FUZZ_SECONDS ?? 60)
/** `FUZZ_SEED`, or another one each time. */
export const newSeed = (): number => Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000_000)

/** What is still held when everything that nobody holds has gone. */
async function heldMiB(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  // What is closed lets go a turn or some later, and what waits for that goes at the next collection.
  for (let n = 0; n < 5; n++) {
    collect()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 2 ** 20
}

/** Round after round until `isOver`; each round has a seed of its own, which a failure names. Gives how many there were. */
export async function fuzz(
  name: string,
  fuzzer: Fuzzer,
  firstSeed: number,
  isOver: (rounds: number) => boolean,
): Promise<number> {
  let rounds = 0
  let before = await heldMiB()
  try {
    for (; !isOver(rounds); rounds++) {
      if (rounds === warmUpRounds) before = await heldMiB()
      const seed = firstSeed + rounds
      await fuzzer.round(new Mutator(seed)).catch((cause: unknown) => {
        throw new Error(`${name}: FUZZ_SEED=${seed} repeats it`, { cause })
      })
    }
  } finally {
    await fuzzer.stop()
  }
  const growth = (await heldMiB()) - before
  if (rounds > warmUpRounds && growth > mostGrowthMiB) throw new Error(`${name}: grew by ${Math.round(growth)} MiB`)
  console.log(`${name}: ${rounds} rounds, seeds from ${firstSeed}, ${Math.round(growth)} MiB more`)
  return rounds
}

/** For a run of its own. */
export function forSeconds(seconds: number): () => boolean {
  const end = performance.now() + seconds * 1000
  return () => performance.now() >= end
}
