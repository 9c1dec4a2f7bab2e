import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { keptRows, markdownRow } from '../../harness/kept-rows.ts'
import { root } from '../../harness/places.ts'

const page = join(root, 'docs/reference/attacks.md')

/** What came of one attempt. */
export interface AttemptRow {
  readonly id: string
  readonly attempt: string
  readonly refusal: string
  readonly variants: number
  readonly tries: number
  readonly successes: number
}

/** Which command runs the tables of which directory. */
const suites = { 'npm test': 'test/security', 'npm run test:long': 'test/long' } as const
export type Suite = keyof typeof suites

const intro = `# Attacks

What must not work and is tried for real: in how many variants, how often, and how often it worked. The tables in \`test/security\` and
\`test/long\` write this page when they have all been run. What protects against each, and what does not, says
[SECURITY.md](../../SECURITY.md).
`

const columns = ['line', 'attempt', 'what the attacker meets', 'variants', 'tries', 'successes', 'run by'] as const

/**
 * Writes docs/reference/attacks.md anew from what the tables of a suite have found; the lines of the other suite stay. Where a table
 * was not run yet nothing is written; gives those.
 */
export async function writeAttacks(suite: Suite): Promise<string[]> {
  const { rows, missing } = await keptRows<AttemptRow>('attacks', suites[suite], 'attemptTable')
  if (rows.length === 0 || missing.length > 0) return missing
  const before = (await readFile(page, 'utf8').catch(() => '')).split('\n')
  const others = before.filter((line) => numberOf(line) > 0 && !line.endsWith(` ${suite} |`))
  const own = rows.map(({ id, attempt, refusal, variants, tries, successes }) =>
    markdownRow([id, attempt, refusal, variants, tries, successes, suite].map(String)),
  )
  // Those of `npm test` first, whichever suite was run last.
  const lines = (suite === 'npm test' ? [...own, ...others] : [...others, ...own]).toSorted(
    (one, other) => numberOf(one) - numberOf(other),
  )
  const head = [columns, columns.map(() => '---')].map(markdownRow)
  await writeFile(page, `${intro}\n${[...head, ...lines].join('\n')}\n`)
  return []
}

/** Of an attempt's line: 7 of A7. 0: it is another line of the page. */
const numberOf = (line: string): number => Number(/^\| A(\d+) \|/.exec(line)?.[1] ?? 0)
