import type { Scope } from '@anteroom/base'

/** One line of a suite's table. All numbers of a figure have the same unit. */
export interface Figure {
  readonly name: string
  /** As it is printed: `ms`, `MB`, `MB/s`, `ms/GB`, `%`. */
  readonly unit: string
  /** Every single measurement, in the order in which it was made; min, median and p95 follow from them. */
  readonly values: readonly number[]
  /** Name of the figure of the same report that this one is compared with; the table shows the ratio of the medians. */
  readonly baseline?: string
  /** What was asked for, and whether it was reached. */
  readonly target?: { readonly text: string; readonly met: boolean }
}

export interface Report {
  readonly figures: readonly Figure[]
  /** What somebody must know to read the figures: sizes, counts, what was left out and why. */
  readonly notes: readonly string[]
}

export interface BenchContext {
  /** Empty directory of this suite; removed afterwards. */
  readonly directory: string
  /** A state directory with a golden image; suites that need none ignore it. */
  readonly home: string
  /** Fewer and shorter measurements, to see that a suite works. */
  readonly quick: boolean
  readonly progress: (text: string) => void
}

/** One file in `suites/`: what it measures is measured in one run against the same baseline. */
export interface Suite {
  /** Kebab-case; names the result files and the command line argument. */
  readonly name: string
  readonly title: string
  /** Bytes of memory, programs or rights that it needs beyond Node; a sentence for the person when something is missing. */
  missing?(context: BenchContext, scope: Scope): Promise<string | undefined>
  run(context: BenchContext, scope: Scope): Promise<Report>
}
