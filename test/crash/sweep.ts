import { createHash, randomInt } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Scope } from '@anteroom/base'
import { resultsDirectory } from '../harness/places.ts'
import type { AwaitSite } from './await-points.ts'
import { InstrumentedModules, type Passing } from './instrumented-modules.ts'
import { type Cast, type StoryName, stories, Told } from './stories.ts'
import { CrashWorld, type Finding } from './world.ts'

/** `start`: no story, but the start of the controller, which meets what was going on before. */
export type Way = StoryName | 'start'
export const allWays: readonly Way[] = [...(Object.keys(stories) as StoryName[]), 'start']

/** Where the controller is to die. */
export interface CrashPoint {
  readonly point: string
  readonly way: Way
  /** Points of the same moment: a death there leaves the same behind. */
  readonly standsFor: readonly string[]
  /** Passed again and again: the story comes to its middle first. */
  readonly always: boolean
}

export interface CrashResult extends Finding {
  readonly point: string
  readonly way: Way
  readonly standsFor: number
  /** Did it come to its point at all? */
  readonly died: boolean
}

const idleMs = 2_500
/** What a story leaves to be done, such as a machine that is made for the next one, is done by then. */
const afterwardsMs = 4_000

export class CrashSweep {
  readonly #modules: InstrumentedModules
  readonly #world: CrashWorld
  #told = 0
  private constructor(modules: InstrumentedModules, world: CrashWorld) {
    this.#modules = modules
    this.#world = world
  }

  static async open(name: string): Promise<CrashSweep> {
    const modules = await InstrumentedModules.make()
    return new CrashSweep(modules, await CrashWorld.open(name, modules))
  }

  /** Every moment at which one of the sites is passed for the first time, in the order of the stories. */
  async points(ways: readonly Way[] = allWays): Promise<CrashPoint[]> {
    const idle = await this.#modules.passedDuring(() => pause(idleMs))
    const always = new Set(idle.map(({ point }) => point))
    const seen = new Set<string>()
    const points: CrashPoint[] = []
    for (const way of ways) {
      const passed = await this.#record(way)
      for (const group of firstPassings(passed, seen)) {
        const [point = ''] = group
        points.push({ point, way, standsFor: group, always: way !== 'start' && always.has(point) })
      }
    }
    return points
  }

  async #record(way: Way): Promise<Passing[]> {
    const told = new Told()
    const passed = await this.#modules.passedDuring(async () => {
      await (way === 'start' ? this.#world.restart() : stories[way](this.#cast(told)))
      await pause(afterwardsMs)
    })
    const { leaks, lies, stuck } = await this.#world.recover(told)
    const wrong = [...leaks, ...lies, ...stuck]
    if (wrong.length > 0) throw new Error(`before any crash: ${wrong.join('; ')}`)
    return passed
  }

  /**
   * A controller dies there; what is found after the next one has started. A story that is told again may take another turn: where
   * it does, it is told once more.
   */
  async crashAt(point: CrashPoint): Promise<CrashResult> {
    const first = await this.#crashAt(point)
    const isClean = [first.leaks, first.lies, first.stuck, first.lost].every((found) => found.length === 0)
    return first.died || !isClean ? first : await this.#crashAt(point)
  }

  async #crashAt({ point, way, standsFor, always }: CrashPoint): Promise<CrashResult> {
    const told = new Told()
    const cast = this.#cast(told)
    const shownBefore = this.#world.site.shown()
    const diedThere = async (): Promise<boolean> => (await this.#modules.diedAt()) === point
    if (!always) await this.#modules.dieAt(point)
    const whenLive = (): Promise<void> => (always ? this.#modules.dieAt(point) : Promise.resolve())
    const untold =
      way === 'start' ? await this.#diesAtStart() : await this.#tell(() => stories[way]({ ...cast, whenLive }))
    const died = await diedThere()
    told.wasOpening = this.#world.site.shown() - shownBefore < told.subjects.length
    await this.#modules.disarm()
    const { lies, ...finding } = await this.#world.recover(told)
    return { point, way, standsFor: standsFor.length, died, ...finding, lies: [...untold, ...lies] }
  }

  /** Or soon after it has said that it is ready: what is left to do then is part of the start. */
  async #diesAtStart(): Promise<string[]> {
    const isStarted = await this.#world.restart().then(
      () => true,
      () => false,
    )
    if (isStarted) await Promise.race([this.#world.controller.died, pause(afterwardsMs)])
    return []
  }

  /** Until the controller dies of it, or has had time for everything that follows from it; gives what went wrong before. */
  async #tell(story: () => Promise<void>): Promise<string[]> {
    const death = this.#world.controller.died.then((): string[] => [])
    const told = story()
      .then(() => pause(afterwardsMs))
      .then((): string[] => [])
      // Whatever is asked of a dead one fails, a moment before it is known to be dead.
      .catch(async (error: unknown) => {
        await Promise.race([death, pause(1_000)])
        return [`the story could not go on: ${String(error).slice(0, 1_000)}`]
      })
    return await Promise.race([death, told])
  }

  #cast(told: Told): Cast {
    const world = this.#world
    this.#told += 1
    return {
      ...{ api: world.controller.api, provider: world.site.provider, told, name: `${process.pid}-${this.#told}` },
      whenLive: async () => {},
      killMachine: (id) => world.killMachine(id),
      killWaitingMachine: () => world.killWaitingMachine(),
    }
  }

  get sites(): readonly AwaitSite[] {
    return this.#modules.sites
  }

  async close(): Promise<void> {
    await this.#world.close()
    await this.#modules.remove()
  }
}

/** Chooses and orders what dies: `CRASH_SEED=… npm test -- e2e test/faults/crash-sweep.test.ts` does it again. */
export const seed = Number(process.env.CRASH_SEED ?? randomInt(1_000_000))

/** In an order that the seed alone decides: whatever there is no time for is another part of them each time. */
export function shuffled<T>(points: readonly T[], nameOf: (point: T) => string): T[] {
  const rank = (point: T): string =>
    createHash('sha256')
      .update(`${seed} ${nameOf(point)}`)
      .digest('hex')
  return points.toSorted((a, b) => rank(a).localeCompare(rank(b)))
}

/** Of each moment the points that were not passed in an earlier one, where there are any. */
export function firstPassings(passed: readonly Passing[], seen: Set<string>): string[][] {
  const groups: string[][] = []
  let moment = Number.NaN
  for (const passing of passed) {
    if (seen.has(passing.point)) continue
    seen.add(passing.point)
    if (passing.moment !== moment) groups.push([])
    moment = passing.moment
    groups.at(-1)?.push(passing.point)
  }
  return groups
}

const pause = (ms: number): Promise<void> => Scope.root('crash').clock.delay(ms, new AbortController().signal)

/** As `<name>.json` beside the fault tables. */
export async function writeResults(name: string, results: readonly CrashResult[]): Promise<void> {
  const directory = join(resultsDirectory, 'faults')
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, `${name}.json`), JSON.stringify({ ...totalsOf(results), results }, null, 2))
}

export function printResults(results: readonly CrashResult[], sites: readonly AwaitSite[]): void {
  const fileOf = ({ point }: CrashResult): string => point.replace(/^\w+ (.+):\d+:\d+$/, '$1')
  const rows = Object.entries(Object.groupBy(results, fileOf)).map(([file, ofFile = []]) => {
    return { file, sites: sites.filter((site) => site.file === file).length, ...totalsOf(ofFile) }
  })
  console.table(rows)
  console.table([totalsOf(results)])
}

function totalsOf(results: readonly CrashResult[]) {
  const count = (kind: 'leaks' | 'lies' | 'stuck' | 'lost') =>
    results.reduce((sum, result) => sum + result[kind].length, 0)
  return {
    moments: results.length,
    points: results.reduce((sum, { standsFor }) => sum + standsFor, 0),
    missed: results.filter(({ died }) => !died).length,
    ...{ leaks: count('leaks'), lies: count('lies'), stuck: count('stuck'), lost: count('lost') },
    slowestMs: Math.max(0, ...results.map(({ recoveryMs }) => recoveryMs)),
  }
}
