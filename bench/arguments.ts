import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { nearest } from '@anteroom/base'

export interface Arguments {
  /** In the order in which they are registered; all when none was named. */
  readonly suites: readonly string[]
  readonly quick: boolean
  readonly home: string
  /** Only say what would run. */
  readonly list: boolean
}

/** For the person at the terminal: printed without a stack. */
export class UsageError extends Error {}

const usage = 'Usage: npm run bench [-- [suite …] [--quick] [--home DIR] [--list]]'

/** @throws UsageError */
export function readArguments(
  args: readonly string[],
  known: readonly string[],
  environment: Readonly<NodeJS.ProcessEnv>,
): Arguments {
  const { values, positionals } = parse(args)
  for (const name of positionals) if (!known.includes(name)) throw unknownSuite(name, known)
  return {
    suites: positionals.length === 0 ? known : known.filter((name) => positionals.includes(name)),
    quick: values.quick,
    home: resolve(values.home ?? environment.ANTEROOM_HOME ?? '.anteroom'),
    list: values.list,
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        home: { type: 'string' },
        list: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n${usage}`)
  }
}

function unknownSuite(name: string, known: readonly string[]): UsageError {
  const meant = nearest(name, known)
  const hint = meant === undefined ? `The suites are: ${known.join(', ')}` : `Did you mean ${meant}?`
  return new UsageError(`There is no suite ${name}. ${hint}\n${usage}`)
}
