import { runCommand, type Scope } from '@anteroom/base'
import { type Load, measureDelays, measureLoad, measureStall } from '../gateway/measurements.ts'
import { type RelayName, relayNames } from '../gateway/relays.ts'
import { onStage } from '../gateway/stage.ts'
import type { BenchContext, Figure, Report, Suite } from '../report.ts'
import { formatNumber, median } from '../statistics.ts'

const viewerCounts = [1, 10, 50] as const
/** How many others are busy while delays are measured. */
const otherCounts = [0, 10] as const
const ways = ['straight', ...relayNames] as const
const stalledViewers = 10
const stalledLimitMb = 8

/** Values by relay and number of viewers, one for each round. */
class Collected<T> {
  readonly #values = new Map<string, T[]>()
  add(way: string, count: number, ...values: T[]): void {
    this.#values.set(`${way} ${count}`, [...this.of(way, count), ...values])
  }
  of(way: string, count: number): readonly T[] {
    return this.#values.get(`${way} ${count}`) ?? []
  }
}

export const gatewaySuite: Suite = {
  name: 'gateway',
  title: 'Live gateway beside websockify and a bare TCP relay',
  missing: async (_, scope) =>
    await runCommand(scope, 'websockify', ['--help']).then(
      () => undefined,
      () => 'websockify does not run (apt-get install websockify).',
    ),
  run,
}

async function run({ quick, progress }: BenchContext, scope: Scope): Promise<Report> {
  const { rounds, seconds, keys } = quick ? { rounds: 1, seconds: 1, keys: 200 } : { rounds: 7, seconds: 3, keys: 1000 }
  const loads = new Collected<Load>()
  const stalls = new Collected<number>()
  const delays = new Collected<number>()
  for (let round = 0; round < rounds; round++) {
    for (const count of viewerCounts)
      for (const relay of rotated(relayNames, round)) {
        const load = await onStage(relay, scope, (stage, inner) => measureLoad(stage, count, seconds, inner))
        loads.add(relay, count, load)
        const speed = `${formatNumber(load.mbPerSecond)} MB/s, ${formatNumber(load.cpuMsPerGb)} ms/GB`
        progress(`round ${round + 1} of ${rounds}: ${relay} with ${viewersText(count)}: ${speed}`)
      }
    for (const relay of rotated(relayNames, round)) {
      const measure = onStage(relay, scope, (stage, inner) => measureStall(stage, stalledViewers, seconds, inner))
      stalls.add(relay, stalledViewers, await measure)
    }
    for (const others of otherCounts)
      for (const way of rotated(ways, round)) {
        const measure = onStage(way, scope, (stage) => measureDelays(stage, others, others > 0 ? keys / 5 : keys))
        delays.add(way, others, ...(await measure))
      }
  }
  return {
    figures: [...comparisons(loads), ...totals(loads), ...stallFigures(stalls), ...delayFigures(delays)],
    notes: notesOf(loads),
  }
}

const rotated = <T>(items: readonly T[], by: number): T[] => items.map((_, n) => items[(n + by) % items.length] as T)
const viewersText = (count: number): string => (count === 1 ? '1 viewer' : `${count} viewers`)

/** What is compared with websockify, and when the gateway is as it should be. */
const compared: readonly {
  readonly name: string
  readonly unit: string
  readonly of: (load: Load, viewers: number) => number
  readonly text: string
  readonly isMet: (ours: number, theirs: number) => boolean
}[] = [
  {
    ...{ name: 'throughput', unit: 'MB/s', of: ({ mbPerSecond }) => mbPerSecond },
    ...{ text: 'at least as websockify', isMet: (ours, theirs) => ours >= theirs },
  },
  {
    ...{ name: 'CPU', unit: 'ms/GB', of: ({ cpuMsPerGb }) => cpuMsPerGb },
    ...{ text: 'at most as websockify', isMet: (ours, theirs) => ours <= theirs },
  },
  ...(['idle', 'loaded'] as const).map((state) => ({
    ...{ name: `memory of each viewer, ${state}`, unit: 'MB' },
    of: ({ memoryMb }: Load, viewers: number) => (memoryMb[state] - memoryMb.empty) / viewers,
    ...{ text: 'at most a tenth of websockify', isMet: (ours: number, theirs: number) => ours <= theirs / 10 },
  })),
]

const comparisons = (loads: Collected<Load>): Figure[] =>
  compared.flatMap(({ name, unit, of, text, isMet }) =>
    viewerCounts.flatMap((count) => {
      const values = (relay: RelayName): number[] => loads.of(relay, count).map((load) => of(load, count))
      const nameOf = (relay: RelayName): string => `${name}: ${relay}, ${viewersText(count)}`
      const met = isMet(median(values('gateway')), median(values('websockify')))
      return relayNames.map(
        (relay): Figure => ({
          ...{ name: nameOf(relay), unit, values: values(relay) },
          ...(relay !== 'websockify' && { baseline: nameOf('websockify') }),
          ...(relay === 'gateway' && { target: { text, met } }),
        }),
      )
    }),
  )

/** All memory of a relay, and from it what each further viewer costs: no question what a relay is without viewers. */
function totals(loads: Collected<Load>): Figure[] {
  const loadedMb = (relay: RelayName, count: number): number[] =>
    loads.of(relay, count).map(({ memoryMb }) => memoryMb.loaded)
  const further = relayNames.map((relay): Figure => {
    const [few, many] = [loadedMb(relay, 10), loadedMb(relay, 50)]
    const values = many.map((mb, round) => (mb - (few[round] ?? Number.NaN)) / (50 - 10))
    return { name: `memory of each further viewer, 10 to 50, loaded: ${relay}`, unit: 'MB', values }
  })
  const inAll = viewerCounts.flatMap((count) =>
    relayNames.map((relay): Figure => {
      return {
        name: `memory in all, loaded: ${relay}, ${viewersText(count)}`,
        unit: 'MB',
        values: loadedMb(relay, count),
      }
    }),
  )
  return [...further, ...inAll]
}

const stallFigures = (stalls: Collected<number>): Figure[] =>
  relayNames.map((relay) => {
    const values = stalls.of(relay, stalledViewers)
    const target = { text: `at most ${stalledLimitMb} MB`, met: values.every((mb) => mb <= stalledLimitMb) }
    return { name: `memory of a stalled viewer: ${relay}`, unit: 'MB', values, ...(relay === 'gateway' && { target }) }
  })

const delayFigures = (delays: Collected<number>): Figure[] =>
  otherCounts.flatMap((others) => {
    const nameOf = (way: string): string => `key to echo${others > 0 ? ` beside ${others} busy viewers` : ''}: ${way}`
    return ways.map((way) => ({
      ...{ name: nameOf(way), unit: 'ms', values: delays.of(way, others) },
      ...(way !== 'straight' && { baseline: nameOf('straight') }),
    }))
  })

const notesOf = (loads: Collected<Load>): string[] => [
  'The machine sends pictures of 0.7 to 240 kB (41 kB on the average), as fast as they are taken; machine, relay and viewers are processes of their own and share the cores.',
  'CPU: user and kernel time of all processes of the relay.',
  'Memory: proportional set size (PSS) of all processes of the relay; idle: each viewer has had its first picture; loaded: at the end of the measured time. Of each viewer: what it is more than without viewers (one had been there and left), divided by their number.',
  `A stalled viewer: ${stalledViewers} viewers enter and stop reading while their machines go on; what the relay's memory (PSS) has grown by after the measured time, for each.`,
  `The slowest viewer had, of the average of all: ${viewerCounts.flatMap((count) => relayNames.map((relay) => `${relay}, ${viewersText(count)}: ${median(loads.of(relay, count).map(({ slowestPercent }) => slowestPercent)).toFixed(0)} %`)).join('; ')}.`,
]
