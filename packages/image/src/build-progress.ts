import type { Clock } from '@anteroom/base'
import type { ImageManifest } from '@anteroom/contract'

/** In the order of the work; seconds as measured on 2 cores without KVM, until this host has measured its own. */
const typicalSeconds = {
  'Bundle the agent': 1,
  'Install Debian packages': 55,
  'Make kernel and initial RAM disk': 3,
  'Write the root file system': 8,
  'Compute checksums': 2,
  'Boot the image and save the machine': 60,
  Publish: 2,
} as const
export type BuildStep = keyof typeof typicalSeconds
const order = Object.keys(typicalSeconds) as BuildStep[]

export interface BuildProgress {
  readonly step: BuildStep
  /** From 1. */
  readonly number: number
  readonly steps: number
  /** Of the whole build, by time: from 0 to 1. */
  readonly fraction: number
  readonly seconds_left: number
}

/** Estimates from the steps of an earlier build on this host, and keeps the times of this one for the manifest. */
export class ProgressMeter {
  readonly #clock: Clock
  readonly #expected: ReadonlyMap<string, number>
  readonly #done: ImageManifest['steps'] = []
  #current: { step: BuildStep; startedAt: number } | undefined

  constructor(clock: Clock, earlier: ImageManifest['steps'] = []) {
    this.#clock = clock
    this.#expected = new Map([
      ...Object.entries(typicalSeconds),
      ...earlier.map((step) => [step.name, step.seconds] as const),
    ])
  }

  begin(step: BuildStep): void {
    this.#finishCurrent()
    this.#current = { step, startedAt: this.#clock.monotonic() }
  }

  /** The steps with their seconds, the running one included. */
  finish(): ImageManifest['steps'] {
    this.#finishCurrent()
    return [...this.#done]
  }

  get now(): BuildProgress {
    const step = this.#current?.step ?? 'Bundle the agent'
    const elapsed = this.#current ? this.#secondsSince(this.#current.startedAt) : 0
    const number = order.indexOf(step) + 1
    // A step that takes longer than expected stays just short of its end.
    const left = Math.max(this.#expectedOf(step) - elapsed, this.#expectedOf(step) * 0.03)
    const later = order.slice(number).reduce((sum, name) => sum + this.#expectedOf(name), 0)
    const done = this.#done.reduce((sum, { seconds }) => sum + seconds, 0) + elapsed
    const secondsLeft = left + later
    return {
      step,
      number,
      steps: order.length,
      fraction: done / (done + secondsLeft),
      seconds_left: Math.ceil(secondsLeft),
    }
  }

  #finishCurrent(): void {
    if (!this.#current) return
    const seconds = Math.round(this.#secondsSince(this.#current.startedAt) * 10) / 10
    this.#done.push({ name: this.#current.step, seconds })
    this.#current = undefined
  }

  #expectedOf(step: BuildStep): number {
    return this.#expected.get(step) ?? 0
  }

  #secondsSince(startedAt: number): number {
    return (this.#clock.monotonic() - startedAt) / 1000
  }
}
