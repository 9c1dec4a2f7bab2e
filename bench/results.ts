import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { drawChart } from './chart.ts'
import type { Host, Revision } from './host-description.ts'
import type { Figure, Report } from './report.ts'
import { median, type Summary, summarise } from './statistics.ts'

/** A figure as it is shown: what was measured, and what follows from it. */
export interface Result extends Summary {
  readonly name: string
  readonly unit: string
  /** Ratio of the medians. */
  readonly compared?: { readonly with: string; readonly ratio: number }
  readonly target?: { readonly text: string; readonly met: boolean }
  readonly values: readonly number[]
}

/** One run of a suite. */
export interface Run {
  readonly suite: string
  readonly title: string
  /** Few measurements: shows that the suite works, and little else. */
  readonly quick: boolean
  readonly started_at: string
  readonly duration_seconds: number
  readonly host: Host
  readonly revision: Revision
  /** Of 1, 5 and 15 minutes. */
  readonly load_before: readonly number[]
  readonly load_after: readonly number[]
  readonly results: readonly Result[]
  readonly notes: readonly string[]
}

/** @throws Error for two figures of one name, no values, or a baseline that is not there or in another unit */
export function resultsOf({ figures }: Report): Result[] {
  const byName = new Map(figures.map((figure) => [figure.name, figure]))
  if (byName.size < figures.length) throw new Error('two figures of the report have the same name')
  return figures.map((figure) => {
    const { name, unit, values, target } = figure
    if (values.length === 0) throw new Error(`${name} has no values`)
    const compared = comparison(figure, byName)
    return { name, unit, ...summarise(values), ...(compared && { compared }), ...(target && { target }), values }
  })
}

function comparison({ name, unit, values, baseline }: Figure, byName: ReadonlyMap<string, Figure>): Result['compared'] {
  if (baseline === undefined) return undefined
  const other = byName.get(baseline)
  if (other?.unit !== unit) throw new Error(`${name}: there is no figure ${baseline} in ${unit}`)
  return { with: baseline, ratio: median(values) / median(other.values) }
}

/** Replaces the result files of this suite; those of others stay. Gives what was written. */
export async function writeRun(directory: string, run: Run): Promise<string[]> {
  await mkdir(directory, { recursive: true })
  const files = { json: asJson(run), svg: drawChart(run) }
  return await Promise.all(
    Object.entries(files).map(async ([extension, text]) => {
      const path = join(directory, `${run.suite}.${extension}`)
      await writeFile(path, text)
      return path
    }),
  )
}

/** What was measured has no more than four digits of meaning; what follows from it, and sizes, are kept longer. */
function rounded(key: string, value: unknown): unknown {
  if (key === 'values') return (value as number[]).map((measured) => Number(measured.toPrecision(4)))
  return typeof value === 'number' ? Number(value.toPrecision(6)) : value
}

/** Indented, but a list of numbers on one line. */
function asJson(run: Run): string {
  const percentiles = 'nearest-rank: the smallest measured value that at least that share of the values do not exceed'
  const text = JSON.stringify({ ...run, percentiles }, rounded, 2)
  return `${text.replace(/\[[\s\d.,eE+-]+\]/g, (list) => list.replace(/\s+/g, ' '))}\n`
}
