import { writeFile } from 'node:fs/promises'
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

const intro = `# Attacks

What must not work and is tried for real by each \`npm test\`: in how many variants, how often, and how often it worked. The tables in
\`test/security\` write this page when they have all been run. What protects against each, and what does not, says
[SECURITY.md](../../SECURITY.md).
`

const columns = ['line', 'attempt', 'what the attacker meets', 'variants', 'tries', 'successes'] as const

/** Writes docs/reference/attacks.md from what all tables have found. Where one was not run yet nothing is written; gives those. */
export async function writeAttacks(): Promise<string[]> {
  const { rows, missing } = await keptRows<AttemptRow>('attacks', 'test/security', 'attemptTable')
  if (rows.length === 0 || missing.length > 0) return missing
  const inOrder = rows.toSorted((a, b) => Number(a.id.slice(1)) - Number(b.id.slice(1)))
  const lines = inOrder.map(({ id, attempt, refusal, variants, tries, successes }) =>
    [id, attempt, refusal, variants, tries, successes].map(String),
  )
  const table = [columns, columns.map(() => '---'), ...lines].map(markdownRow).join('\n')
  await writeFile(page, `${intro}\n${table}\n`)
  return []
}
