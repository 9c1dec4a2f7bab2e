/** What is kept of machines after they went: apart from them, bounded in size, for as long as the configuration says. */
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, Log } from '@anteroom/base'
import { type EvidenceKind, evidenceKinds } from '@anteroom/contract'
import type { Config } from '../config.ts'
import { endOfText } from './end-of-text.ts'

export { type HostRecord, hostOf, notConnected, relevantLines } from './relevant-lines.ts'

/** Text of each kind; what is missing was not there, or nobody could tell. */
export type EvidenceTexts = Partial<Record<EvidenceKind, string>>

export interface Evidence {
  /** Of a session, or of a machine of the pool that no session has had. Whole or not at all, and never again for the same id. */
  keep(id: string, texts: EvidenceTexts): Promise<void>
  /** Empty where nothing was kept, or what was is too old. */
  read(id: string): Promise<EvidenceTexts>
  /** Where a text is, or would be. */
  fileOf(id: string, kind: EvidenceKind): string
  /** What `collect` would remove: names in the directory of evidence. */
  overdue(): Promise<string[]>
  /** Removes what is too old, and the oldest while there is too much. Gives the sessions whose evidence went. */
  collect(): Promise<string[]>
}

export interface EvidenceDeps {
  readonly config: Pick<Config, 'home' | 'evidence'>
  readonly clock: Clock
  readonly log: Log
}

const fileNames = {
  console: 'console.log',
  vmm: 'vmm.log',
  agent: 'agent.log',
  egress: 'egress.json',
  host: 'host.json',
  timeline: 'timeline.json',
} as const satisfies Record<EvidenceKind, string>

/** Whatever a machine prints, this much of the end of it is kept. */
const mostBytes: Record<EvidenceKind, number> = {
  console: 64 * 1024,
  vmm: 16 * 1024,
  agent: 64 * 1024,
  egress: 128 * 1024,
  host: 4 * 1024,
  timeline: 16 * 1024,
}

const MiB = 1024 * 1024
const dayMs = 86_400_000
const sessionDirectory = /^ses_[a-z2-7]{24}$/
const machineDirectory = /^vm_[a-z2-7]{24}$/
/** Of the pool, which tries again and again: a few tell all there is, and they must not push out what sessions left. */
const mostMachines = 20

export function createEvidence({ config, clock, log }: EvidenceDeps): Evidence {
  const root = join(config.home, 'evidence')
  const limits = config.evidence

  async function entries(): Promise<{ name: string; keptAt: number; bytes: number }[]> {
    const names = await readdir(root).catch(() => [])
    return await Promise.all(
      names.map(async (name) => {
        const directory = join(root, name)
        const sizes = (await readdir(directory).catch(() => [])).map((file) => stat(join(directory, file)))
        const [{ mtimeMs }, ...files] = await Promise.all([stat(directory), ...sizes])
        return { name, keptAt: mtimeMs, bytes: files.reduce((sum, { size }) => sum + size, 0) }
      }),
    )
  }

  async function overdue(): Promise<string[]> {
    const newestFirst = (await entries()).toSorted((a, b) => b.keptAt - a.keptAt)
    let total = 0
    let machines = 0
    return newestFirst
      .filter(({ name, keptAt, bytes }) => {
        total += bytes
        const isOfMachine = machineDirectory.test(name)
        if (isOfMachine) machines++
        const isTooOld = clock.now() - keptAt > limits.max_age_days * dayMs
        return isTooOld || total > limits.max_total_mib * MiB || (isOfMachine && machines > mostMachines)
      })
      .map(({ name }) => name)
  }

  return {
    async keep(id, texts) {
      const unfinished = join(root, `.${id}`)
      await rm(unfinished, { recursive: true, force: true })
      await mkdir(unfinished, { recursive: true, mode: 0o700 })
      for (const kind of evidenceKinds) {
        const text = texts[kind] ?? ''
        if (text === '') continue
        await writeFile(join(unfinished, fileNames[kind]), endOfText(text, mostBytes[kind]), { mode: 0o600 })
      }
      const directory = join(root, id)
      // A teardown that is run again after a crash asks a machine that knows less than it did.
      if (await isThere(directory)) return await rm(unfinished, { recursive: true })
      await rename(unfinished, directory)
    },

    async read(id) {
      const found = evidenceKinds.map(async (kind) => {
        const text = await readFile(join(root, id, fileNames[kind]), 'utf8').catch(() => undefined)
        return text === undefined ? [] : [[kind, text] as const]
      })
      return Object.fromEntries((await Promise.all(found)).flat())
    },

    fileOf: (id, kind) => join(root, id, fileNames[kind]),

    overdue,

    async collect() {
      const names = await overdue()
      for (const name of names) await rm(join(root, name), { recursive: true, force: true })
      const removed = names.filter((name) => sessionDirectory.test(name))
      if (removed.length > 0) log.info({ sessions: removed.length }, 'evidence of old sessions was removed')
      return removed
    },
  }
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
