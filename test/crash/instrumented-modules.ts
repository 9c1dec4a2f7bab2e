import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type AwaitSite, withAwaitPoints } from './await-points.ts'

const root = resolve(import.meta.dirname, '../..')

/** What a session's way goes through, by folder: a new file is in by itself. */
const folders = [
  ...['agent', 'connections', 'events', 'evidence', 'host', 'images', 'leases', 'machines', 'pool', 'sessions'],
  ...['snapshots', 'store', 'vault'],
]
  .map((folder) => `packages/controller/src/${folder}`)
  .concat('packages/vmm/src')

const isTest = (file: string): boolean => /\.(test|host-test|contract|fixture)\.ts$/.test(file)

/** A point was passed; nothing happened outside the process between those of the same moment. */
export interface Passing {
  readonly moment: number
  /** `before` or `after`, and the id of a site. */
  readonly point: string
}

/** The modules of a controller with crash points in them, for a process to be started with. */
export class InstrumentedModules {
  readonly sites: readonly AwaitSite[]
  readonly #directory: string
  private constructor(directory: string, sites: readonly AwaitSite[]) {
    this.#directory = directory
    this.sites = sites
  }

  static async make(): Promise<InstrumentedModules> {
    const directory = await mkdtemp(join(tmpdir(), 'anteroom-crash-'))
    const found: AwaitSite[] = []
    const moduleOf: Record<string, string> = {}
    for (const path of (await Promise.all(folders.map(sourcesIn))).flat()) {
      const { code, sites } = withAwaitPoints(await readFile(path, 'utf8'), relative(root, path))
      if (sites.length === 0) continue
      found.push(...sites)
      moduleOf[path] = `${Object.keys(moduleOf).length}.js`
      await writeFile(join(directory, moduleOf[path]), code)
    }
    await writeFile(join(directory, 'modules.json'), JSON.stringify(moduleOf))
    return new InstrumentedModules(directory, found)
  }

  /** For Node itself. */
  get nodeArguments(): string[] {
    const loader = pathToFileURL(join(import.meta.dirname, 'load-points.ts'))
    loader.searchParams.set('in', this.#directory)
    return ['--import', loader.href]
  }

  /** The process dies where it passes `point` next. */
  async dieAt(point: string): Promise<void> {
    await rm(join(this.#directory, 'died'), { force: true })
    await writeFile(join(this.#directory, 'orders'), point)
  }

  /** Points are passed without anything happening. */
  async disarm(): Promise<void> {
    await rm(join(this.#directory, 'orders'), { force: true })
  }

  /** Where it died; undefined while it has not. */
  async diedAt(): Promise<string | undefined> {
    return await readFile(join(this.#directory, 'died'), 'utf8').catch(() => undefined)
  }

  /** What is passed while `work` is done. */
  async passedDuring(work: () => Promise<void>): Promise<Passing[]> {
    await rm(join(this.#directory, 'passed'), { force: true })
    await writeFile(join(this.#directory, 'orders'), '*')
    await work()
    await this.disarm()
    const text = await readFile(join(this.#directory, 'passed'), 'utf8').catch(() => '')
    return [...text.matchAll(/^(\d+) (.+)$/gm)].map(([, moment, point = '']) => ({ moment: Number(moment), point }))
  }

  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true })
  }
}

async function sourcesIn(folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !isTest(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
}
