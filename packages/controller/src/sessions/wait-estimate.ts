/** How long recent sessions had their machines. */
export type History = readonly number[]

export function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)]
}

/**
 * How long a session that has its machine for `heldMs` will yet have it: the median of what was left to those who had theirs longer,
 * and never more than its limits leave. A session that outlasts all of the history goes to its limits.
 */
export function restMs(heldMs: number, limitMs: number, history: History): number {
  const left = median(history.filter((ms) => ms > heldMs).map((ms) => ms - heldMs))
  return Math.max(0, Math.min(left ?? limitMs, limitMs))
}

export interface Moving {
  /** Machines that could be taken now. */
  readonly free: number
  /** For each that is in use, how long yet. */
  readonly rests: readonly number[]
  readonly history: History
}

/** How long each place of the queue has to wait; undefined where nothing tells. Each machine goes on to the next in turn. */
export function waitsMs(places: number, { free, rests, history }: Moving): number[] | undefined {
  const usual = median(history)
  if (usual === undefined) return undefined
  const frees = [...Array<number>(free).fill(0), ...rests].sort((a, b) => a - b)
  if (frees.length === 0) return undefined
  const waits: number[] = []
  for (let place = 0; place < places; place++) {
    const at = frees.shift() ?? 0
    waits.push(at)
    insert(frees, at + usual)
  }
  return waits
}

function insert(sorted: number[], value: number): void {
  const index = sorted.findLastIndex((other) => other <= value)
  sorted.splice(index + 1, 0, value)
}
