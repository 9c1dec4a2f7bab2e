import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Scope } from '@anteroom/base'
import type { BenchContext, Figure, Report, Suite } from '../report.ts'
import { percentile } from '../statistics.ts'
import { measureSyncs } from '../store/disk.ts'
import { type Edge, startEdge } from '../store/edge.ts'
import { type StoredSessions, storeSessions } from '../store/stored-sessions.ts'
import { subscribe } from '../store/subscribers.ts'

/** How often each thing is measured. */
interface Effort {
  readonly sizes: readonly number[]
  /** In one round. */
  readonly creates: number
  readonly createRounds: number
  readonly reads: number
  readonly subscribers: readonly number[]
  /** Events in one block; the processor time is taken of each. */
  readonly events: number
  readonly eventBlocks: number
}

const thorough: Effort = {
  ...{ sizes: [100, 10_000, 1_000_000], creates: 500, createRounds: 5, reads: 200 },
  ...{ subscribers: [1, 100, 1000], events: 20, eventBlocks: 5 },
}
const quick: Effort = {
  ...{ sizes: [100, 10_000], creates: 50, createRounds: 2, reads: 20 },
  ...{ subscribers: [1, 100], events: 5, eventBlocks: 2 },
}

const createLimitMs = 10

export const storeSuite: Suite = {
  name: 'store',
  title: 'Session create, list and events by number of stored sessions and subscribers',
  async run(context, scope) {
    const effort = context.quick ? quick : thorough
    const figures: Figure[] = []
    for (const size of effort.sizes)
      figures.push(...(await scope.run({ name: labelOf(size) }, (inner) => measureSize(size, effort, context, inner))))
    return { figures: bySize(figures, effort), notes: notesOn(effort) } satisfies Report
  },
}

const superscripts = '⁰¹²³⁴⁵⁶⁷⁸⁹'
const labelOf = (size: number): string => `10${superscripts[Math.round(Math.log10(size))]} stored`

async function measureSize(size: number, effort: Effort, context: BenchContext, scope: Scope): Promise<Figure[]> {
  const home = join(context.directory, String(size))
  await mkdir(home, { mode: 0o700 })
  context.progress(`${labelOf(size)}: writing the sessions`)
  const stored = await storeSessions(home, size)
  const edge = await startEdge(home, scope)
  const named = (figure: Figure): Figure => ({ ...figure, name: `${figure.name}, ${labelOf(size)}` })
  const parts: readonly [string, () => Promise<Figure[]>][] = [
    ['reading', () => measureReads(edge, stored, effort)],
    ['creating', () => measureCreates(edge, home, size === Math.max(...effort.sizes), effort, scope)],
    ['events', () => measureEvents(edge, stored, effort, scope)],
  ]
  const figures: Figure[] = []
  for (const [what, measure] of parts) {
    context.progress(`${labelOf(size)}: ${what}`)
    figures.push(...(await measure()).map(named))
  }
  return figures
}

async function measureReads(edge: Edge, stored: StoredSessions, { reads }: Effort): Promise<Figure[]> {
  const { provider, subject, middle } = stored
  // What `next_cursor` would say to someone who had read half of the list.
  const cursor = Buffer.from(`${middle.createdAt} ${middle.id}`).toString('base64url')
  const lists: Readonly<Record<string, string>> = {
    list: '',
    'list ended': 'status=ended',
    'list queued': 'status=queued',
    'list of a provider': `provider=${provider}`,
    'list of a subject': `subject=${subject}`,
    'list queued of a provider': `status=queued&provider=${provider}`,
    'list from the middle': `cursor=${cursor}`,
    'list of a provider from the middle': `provider=${provider}&cursor=${cursor}`,
  }
  const figures: Figure[] = []
  for (const [name, query] of Object.entries(lists))
    figures.push(await repeat(name, reads, () => edge.call('GET', `/v1/sessions?${query}`)))
  figures.push(await repeat('list connections', reads, () => edge.call('GET', '/v1/connections')))
  figures.push(await repeat('get', reads, (n) => edge.call('GET', `/v1/sessions/${stored.ids[n % stored.ids.length]}`)))
  return figures
}

async function repeat(name: string, times: number, work: (n: number) => Promise<{ ms: number }>): Promise<Figure> {
  await work(0)
  const values: number[] = []
  for (let n = 0; n < times; n++) values.push((await work(n)).ms)
  return { name, unit: 'ms', values }
}

interface Rhythm {
  readonly name: string
  readonly clients: number
  /** Waits until a session has ended before the next is created: the controller has nothing else to do. */
  readonly oneByOne: boolean
  readonly target: boolean
}

const rhythms: readonly Rhythm[] = [
  { name: 'create', clients: 1, oneByOne: true, target: true },
  { name: 'create, back to back', clients: 1, oneByOne: false, target: true },
  { name: 'create, back to back by 4', clients: 4, oneByOne: false, target: false },
]

/** Rounds of each rhythm take turns; between them, the disk alone. */
async function measureCreates(edge: Edge, directory: string, isLargest: boolean, effort: Effort, scope: Scope) {
  const rounds = new Map(rhythms.map(({ name }) => [name, [] as number[][]]))
  const costs: number[] = []
  const syncs: number[] = []
  for (let round = 0; round < effort.createRounds; round++)
    for (const rhythm of rhythms) {
      syncs.push(...(await measureSyncs(directory, effort.reads)))
      const before = await edge.cpuMs()
      rounds.get(rhythm.name)?.push(await createMany(edge, rhythm, round, effort, scope))
      if (rhythm.oneByOne) costs.push(((await edge.cpuMs()) - before) / effort.creates)
    }
  return [
    ...rhythms.flatMap(({ name, target }) => createFigures(name, rounds.get(name) ?? [], isLargest && target)),
    { name: 'CPU for a whole session', unit: 'ms', values: costs },
    { name: 'the disk alone, 80 KiB', unit: 'ms', values: syncs },
    { name: 'the disk alone, p99', unit: 'ms', values: [percentile(syncs, 99)] },
  ]
}

/** Each session is cancelled at once, so that there is room for the next. */
async function createMany(
  edge: Edge,
  { name, clients, oneByOne }: Rhythm,
  round: number,
  effort: Effort,
  scope: Scope,
) {
  const values: number[] = []
  const client = async (number: number): Promise<void> => {
    for (let n = 0; n < effort.creates / clients; n++) {
      const subject = `${name} ${round} ${number} ${n}`
      const key = { 'idempotency-key': subject.replaceAll(/[, ]+/g, '-') }
      const { ms, body } = await edge.call('POST', '/v1/sessions', { provider: 'idp', subject }, key)
      values.push(ms)
      const path = `/v1/sessions/${(body as { id: string }).id}`
      await edge.call('POST', `${path}/cancel`, {})
      const isOver = async (): Promise<boolean> =>
        ((await edge.call('GET', path)).body as { status: string }).status === 'ended'
      if (oneByOne) await scope.until(async () => (await isOver()) || undefined, 3)
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)))
  return values
}

function createFigures(name: string, rounds: readonly number[][], isTarget: boolean): Figure[] {
  const all = rounds.flat()
  const target = { text: `within ${createLimitMs} ms`, met: percentile(all, 99) <= createLimitMs }
  return [
    { name, unit: 'ms', values: all },
    { name: `${name}, p99`, unit: 'ms', values: [percentile(all, 99)], ...(isTarget && { target }) },
  ]
}

async function measureEvents(edge: Edge, stored: StoredSessions, effort: Effort, scope: Scope): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const count of effort.subscribers) {
    const [first = ''] = stored.ids
    const kinds = {
      'one session': Array.from({ length: count }, () => first),
      'a session each': stored.ids.slice(0, count),
    }
    for (const [kind, ids] of Object.entries(kinds))
      if (ids.length === count && (count > 1 || kind === 'one session'))
        figures.push(
          ...(await scope.run({ name: `${count} subscribers` }, (inner) =>
            measureFanOut(edge, ids, `${count} of ${kind}`, effort, inner),
          )),
        )
  }
  return figures
}

async function measureFanOut(
  edge: Edge,
  ids: readonly string[],
  name: string,
  { events, eventBlocks }: Effort,
  scope: Scope,
): Promise<Figure[]> {
  const subscribers = await subscribe(edge, ids, scope)
  const sessions = [...new Set(ids)]
  const latencies: number[] = []
  const costs: number[] = []
  for (let block = 0; block < eventBlocks; block++) {
    const before = await edge.cpuMs()
    for (let n = 0; n < events; n++) {
      const reached = subscribers.nextReachedAll()
      const committedAt = await edge.append(sessions)
      latencies.push((await reached) - committedAt)
    }
    costs.push((((await edge.cpuMs()) - before) * 1000) / events / ids.length)
  }
  return [
    { name: `event → last of ${name}`, unit: 'ms', values: latencies },
    { name: `CPU for each subscriber, ${name}`, unit: 'µs', values: costs },
  ]
}

/** The same figure of each size one below the other, compared with the smallest store. */
function bySize(figures: readonly Figure[], { sizes }: Effort): Figure[] {
  const [smallest = 0] = sizes
  const ofSize = /, 10\S+ stored$/
  const groups = Map.groupBy(figures, ({ name }) => name.replace(ofSize, ''))
  return [...groups.entries()].flatMap(([name, same]) => {
    const baseline = `${name}, ${labelOf(smallest)}`
    const isThere = same.some((figure) => figure.name === baseline)
    return same.map((figure) => (isThere && figure.name !== baseline ? { ...figure, baseline } : figure))
  })
}

const notesOn = ({ creates, createRounds }: Effort): string[] => [
  'The controller runs in a process of its own, with its real HTTP edge, store (SQLite on the disk of the state directory, synchronous = full), events and reconciler; hosts, machines and guests are in memory. Requests go over loopback on kept connections.',
  'Stored are ended sessions with their stages, events, connections and credentials, spread over a year.',
  `Created are ${createRounds} times ${creates} in each rhythm, each with an Idempotency-Key, each cancelled at once: when the one before has ended; back to back, while the reconciler starts and ends the machines of those before; the same by four clients.`,
  'The disk alone: a write of as much as a create writes to the log, and fdatasync, in turns with the creates. What a session costs includes its cancelling, its machine and its end.',
  'Events: from the commit in the controller until the last subscriber has read it. Of a session each: one event of every session in one transaction. CPU is what the controller used, divided by events and subscribers.',
]
