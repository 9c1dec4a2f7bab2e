import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Scope } from '@anteroom/base'
import type { BenchContext, Figure, Report, Suite } from '../report.ts'
import { percentile } from '../statistics.ts'
import { type Edge, startEdge } from '../store/edge.ts'
import { type StoredSessions, storeSessions } from '../store/stored-sessions.ts'
import { subscribe } from '../store/subscribers.ts'

/** How often each thing is measured. */
interface Effort {
  readonly sizes: readonly number[]
  /** Creates in one round; the 99th percentile is taken of each. */
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
    return { figures: withBaselines(figures, effort), notes: notesOn(effort) } satisfies Report
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
    ['creating one at a time', () => measureCreates(edge, 1, effort, size === Math.max(...effort.sizes))],
    ['creating four at a time', () => measureCreates(edge, 4, effort, false)],
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

/** Each session is cancelled at once, so that there is room for the next; its machine's life goes on beside the creates. */
async function measureCreates(edge: Edge, clients: number, effort: Effort, isTarget: boolean): Promise<Figure[]> {
  const rounds: number[][] = []
  for (let round = 0; round < effort.createRounds; round++) {
    const values: number[] = []
    const client = async (number: number): Promise<void> => {
      for (let n = 0; n < effort.creates / clients; n++) {
        const subject = `bench-${clients}-${round}-${number}-${n}`
        const { ms, body } = await edge.call(
          'POST',
          '/v1/sessions',
          { provider: 'idp', subject },
          { 'idempotency-key': subject },
        )
        values.push(ms)
        await edge.call('POST', `/v1/sessions/${(body as { id: string }).id}/cancel`, {})
      }
    }
    await Promise.all(Array.from({ length: clients }, (_, number) => client(number)))
    rounds.push(values)
  }
  const suffix = clients === 1 ? '' : `, ${clients} at a time`
  const all = rounds.flat()
  const target = { text: `p99 within ${createLimitMs} ms`, met: percentile(all, 99) <= createLimitMs }
  return [
    { name: `create${suffix}`, unit: 'ms', values: all },
    {
      ...{ name: `create p99 of each round${suffix}`, unit: 'ms' },
      values: rounds.map((values) => percentile(values, 99)),
      ...(isTarget && { target }),
    },
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
    const before = await edge.usage()
    for (let n = 0; n < events; n++) {
      const reached = subscribers.nextReachedAll()
      const committedAt = await edge.append(sessions)
      latencies.push((await reached) - committedAt)
    }
    costs.push((((await edge.usage()).cpuMs - before.cpuMs) * 1000) / events / ids.length)
  }
  return [
    { name: `event → last of ${name}`, unit: 'ms', values: latencies },
    { name: `CPU for each subscriber, ${name}`, unit: 'µs', values: costs },
  ]
}

/** Everything is compared with the smallest store. */
function withBaselines(figures: readonly Figure[], { sizes }: Effort): Figure[] {
  const smallest = labelOf(Math.min(...sizes))
  const names = new Set(figures.map(({ name }) => name))
  return figures.map((figure) => {
    const baseline = figure.name.replace(/10.+ stored$/, smallest)
    return baseline === figure.name || !names.has(baseline) ? figure : { ...figure, baseline }
  })
}

const notesOn = ({ creates, createRounds }: Effort): string[] => [
  'The controller runs in a process of its own, with its real HTTP edge, store (SQLite on the disk of the state directory, synchronous = full), events and reconciler; hosts, machines and guests are in memory. Requests go over loopback on kept connections.',
  'Stored are ended sessions with their stages, events, connections and credentials, spread over a year.',
  `Created are ${createRounds} rounds of ${creates}, each with an Idempotency-Key and cancelled at once; the reconciler starts and ends their machines meanwhile.`,
  'Events: from the commit in the controller until the last subscriber has read it. Of a session each: one event of every session in one transaction. CPU is what the controller used, divided by events and subscribers.',
]
