import { afterAll, expect, test } from 'vitest'
import { keepRows } from '../../harness/kept-rows.ts'
import type { AttemptRow } from './reference.ts'

/** Counts what is tried. Each try belongs to a variant; what succeeds fails the test, and is named. */
export class Tally {
  readonly #variants = new Set<string>()
  #tries = 0
  readonly successes: string[] = []

  get variants(): number {
    return this.#variants.size
  }

  get tries(): number {
    return this.#tries
  }

  refused(variant: string): void {
    this.#variants.add(variant)
    this.#tries++
  }

  succeeded(variant: string, what: string): void {
    this.refused(variant)
    this.successes.push(`${variant}: ${what}`)
  }

  /** One try; `gotThrough` says what went through that must not, undefined: nothing did. */
  async try(variant: string, attack: () => Promise<string | undefined>): Promise<void> {
    const gotThrough = await attack()
    if (gotThrough === undefined) this.refused(variant)
    else this.succeeded(variant, gotThrough)
  }
}

export interface Attempt {
  /** Of the plan: A1 to A10. */
  readonly id: string
  /** In words, for example "a view ticket is used a second time". */
  readonly attempt: string
  /** What the attacker meets. */
  readonly refusal: string
  /** Tries it for real, in as many variants as there are. */
  run(tally: Tally): Promise<void>
}

/** One test each; kept for docs/reference/attacks.md when all of them have been tried. `table` is the name of the test file. */
export function attemptTable(table: string, attempts: readonly Attempt[]): void {
  const rows = new Map<string, AttemptRow>()
  afterAll(async () => {
    if (rows.size === attempts.length) await keepRows('attacks', table, [...rows.values()])
  })
  const named = attempts.map((attempt) => [`${attempt.id} ${attempt.attempt}`, attempt] as const)
  test.each(named)('%s', async (name, { id, attempt, refusal, run }) => {
    const tally = new Tally()
    await run(tally)
    const { variants, tries, successes } = tally
    expect(successes).toEqual([])
    // What was not tried has not been refused.
    expect(tries).toBeGreaterThan(0)
    rows.set(name, { id, attempt, refusal, variants, tries, successes: successes.length })
  })
}
