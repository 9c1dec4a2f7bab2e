import type { Result } from './results.ts'
import { formatNumber } from './statistics.ts'

interface Column {
  readonly title: string
  readonly cell: (result: Result) => string
  /** Numbers stand flush right. */
  readonly right?: true
}

const columns: readonly Column[] = [
  { title: 'figure', cell: ({ name }) => name },
  { title: 'n', cell: ({ count }) => String(count), right: true },
  { title: 'min', cell: ({ min }) => formatNumber(min), right: true },
  { title: 'median', cell: ({ median }) => formatNumber(median), right: true },
  { title: 'p95', cell: ({ p95 }) => formatNumber(p95), right: true },
  { title: 'unit', cell: ({ unit }) => unit },
  { title: 'compared', cell: ratioText },
  { title: 'target', cell: ({ target }) => (target ? targetText(target) : '') },
]

/** The words that the name and its baseline begin with are not said twice. */
export function ratioText({ name, compared }: Result): string {
  if (!compared) return ''
  const [words, others] = [name.split(' '), compared.with.split(' ')]
  const shared = others.findIndex((word, index) => word !== words[index])
  const rest = shared > 0 ? ['…', ...others.slice(shared)] : others
  return `${formatNumber(compared.ratio)}× ${rest.join(' ')}`
}

export const targetText = ({ text, met }: NonNullable<Result['target']>): string =>
  `${text}: ${met ? 'reached' : 'MISSED'}`

/** For the terminal; a column that nothing is in is left out. */
export function formatTable(results: readonly Result[]): string {
  const shown = columns.filter(({ cell }) => results.some((result) => cell(result) !== ''))
  const rows = [shown.map(({ title }) => title), ...results.map((result) => shown.map(({ cell }) => cell(result)))]
  const widths = shown.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    row
      .map((text, index) => (shown[index]?.right ? text.padStart(widths[index] ?? 0) : text.padEnd(widths[index] ?? 0)))
      .join('  ')
      .trimEnd()
  const [head = [], ...body] = rows
  return [line(head), widths.map((width) => '─'.repeat(width)).join('  '), ...body.map(line)].join('\n')
}
