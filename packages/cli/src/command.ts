export interface Options {
  /** The state directory. */
  readonly home: string
  /** For programs: the answer as JSON. */
  readonly json: boolean
  /** Those of the command's own flags that were given. */
  readonly flags: ReadonlySet<string>
  /** What its own options were given, by name. */
  readonly values?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly text: string
  readonly exitCode: number
}

export interface Command {
  readonly name: string
  /** `explain <session>` */
  readonly synopsis: string
  readonly does: string
  /** Of its own, without a value. */
  readonly flags: readonly string[]
  /** Of its own, with a value. */
  readonly values?: readonly string[]
  /** @throws UsageError, AppError */
  run(words: readonly string[], options: Options): Promise<Answer>
}

/** The arguments make no sense; how to use the program is printed below it. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
