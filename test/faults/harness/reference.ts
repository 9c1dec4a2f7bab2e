import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ErrorCode } from '@anteroom/contract'
import { keptRows, markdownRow } from '../../harness/kept-rows.ts'
import { root } from '../../harness/places.ts'

const page = join(root, 'docs/reference/faults.md')

/** What a table has found. */
export interface FaultRow {
  readonly id: string
  readonly fault: string
  /** null: nothing goes wrong, by another way. */
  readonly code: ErrorCode | null
  /** From the fault to the code; null: another test shows it. */
  readonly milliseconds: number | null
  readonly leftovers: number
  readonly affected: number
  /** How it is shown, where it is not made for real beside somebody who signs in. */
  readonly note: string | null
}

/** Which command runs the tables of which directory. */
export const suites = { 'npm test': 'test/faults', 'npm run test:long': 'test/long' } as const
export type Suite = keyof typeof suites

/**
 * Writes docs/reference/faults.md anew from what the tables of a suite have found; the lines of the other suite stay. Where a table
 * was not run yet nothing is written; gives those.
 */
export async function writeReference(suite: Suite): Promise<string[]> {
  const { rows, missing } = await keptRows<FaultRow>('faults', suites[suite], 'faultTable')
  if (rows.length === 0 || missing.length > 0) return missing
  const others = readLines(await readFile(page, 'utf8').catch(() => '')).filter((line) => line.suite !== suite)
  await writeFile(page, pageOf([...rows.map((row) => lineOf(row, suite)), ...others]))
  return []
}

/** A line of the page, as words. */
export interface Line {
  readonly id: string
  readonly fault: string
  readonly given: string
  readonly after: string
  readonly left: string
  readonly affected: string
  readonly how: string
  readonly suite: string
}

const notMeasured = '–'
export const forReal = 'for real'

const lineOf = (row: FaultRow, suite: Suite): Line => ({
  ...{ id: row.id, fault: row.fault, suite },
  given: row.code === null ? 'nothing goes wrong' : `[\`${row.code}\`](errors.md#${row.code})`,
  after: afterText(row.milliseconds),
  left: row.milliseconds === null ? notMeasured : String(row.leftovers),
  affected: row.milliseconds === null ? notMeasured : String(row.affected),
  how: row.note ?? forReal,
})

/** Coarse, so that the page changes only when something did. */
const seconds = [1, 2, 5, 10, 30, 60, 120, 300]

function afterText(milliseconds: number | null): string {
  if (milliseconds === null) return notMeasured
  const most = seconds.find((limit) => milliseconds < limit * 1000)
  return most === undefined ? `> ${seconds.at(-1)} s` : `< ${most} s`
}

const titles: Readonly<Record<string, string>> = {
  G: 'Golden image',
  H: 'Host, VMM, network',
  S: 'Session, store, controller',
  V: 'Screen',
  C: 'Sign-in and capture',
}

const columns = ['line', 'fault', 'code', 'after', 'left over', 'others affected', 'how', 'run by'] as const

const intro = `# Faults

What the tests break on purpose beside somebody in the middle of a sign-in, who must not notice: the code that is given, how long after
the fault, what is left on the host of whoever met it, and how many others noticed. The tables in \`test/faults\` and \`test/long\` write
this page when they have all been run.
`

const numberOf = ({ id }: Line): number => Number(id.slice(1))

function pageOf(lines: readonly Line[]): string {
  const parts = Object.entries(titles).flatMap(([letter, title]) => {
    // What several tables show of one line stands together, in an order that no run changes.
    const own = lines.filter(({ id }) => id.startsWith(letter))
    const inOrder = own.toSorted((a, b) => numberOf(a) - numberOf(b) || a.suite.localeCompare(b.suite))
    return own.length === 0 ? [] : [`\n## ${title}\n\n${tableOf(inOrder)}\n`]
  })
  return intro + parts.join('')
}

const tableOf = (lines: readonly Line[]): string =>
  [columns, columns.map(() => '---'), ...lines.map(cellsOf)].map(markdownRow).join('\n')

const cellsOf = ({ id, fault, given, after, left, affected, how, suite }: Line): string[] => [
  id,
  fault,
  given,
  after,
  left,
  affected,
  how,
  suite,
]

/** The lines of a page that was written before. */
export function readLines(text: string): Line[] {
  return text.split('\n').flatMap((row) => {
    const [id = '', fault = '', given = '', after = '', left = '', affected = '', how = '', suite = ''] = row
      .slice(2, -2)
      .split(' | ')
    return /^[A-Z]\d+$/.test(id) ? [{ id, fault, given, after, left, affected, how, suite }] : []
  })
}
