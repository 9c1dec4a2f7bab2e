import type { Clock } from '@anteroom/base'
import type { Config } from '../config.ts'

/** About the time from a click to the live screen of the slowest start: what comes within it comes at once. */
const togetherMs = 10_000
const rememberedMs = 600_000

/**
 * How many machines should wait. One is restored in a fraction of a second, but none while a session starts, because the start
 * would pay for it: the pool has to hold what comes at once. So it is the most sessions that were admitted within any ten
 * seconds of the last ten minutes, plus those that are queued, and never less than the floor or more than the ceiling. Ten
 * minutes after a rush it is forgotten, and the pool shrinks back to the floor. A fixed size knows no demand.
 */
export class Demand {
  readonly #limits: Config['pool']
  readonly #clock: Pick<Clock, 'now'>
  #admitted: number[] = []

  constructor(limits: Config['pool'], clock: Pick<Clock, 'now'>) {
    this.#limits = limits
    this.#clock = clock
  }

  /** That many sessions were admitted now, or would have been: what waits at a start is kept for as long as a rush is. */
  note(sessions = 1): void {
    this.#forget()
    this.#admitted.push(...Array.from({ length: sessions }, () => this.#clock.now()))
  }

  wanted(queued: number): number {
    const { size, floor, ceiling } = this.#limits
    if (size !== 'auto') return size
    this.#forget()
    return Math.min(ceiling, Math.max(floor, this.#rush() + queued))
  }

  #rush(): number {
    let most = 0
    let first = 0
    this.#admitted.forEach((at, last) => {
      while (at - (this.#admitted[first] ?? at) > togetherMs) first++
      most = Math.max(most, last - first + 1)
    })
    return most
  }

  #forget(): void {
    const since = this.#clock.now() - rememberedMs
    this.#admitted = this.#admitted.filter((at) => at > since)
  }
}
