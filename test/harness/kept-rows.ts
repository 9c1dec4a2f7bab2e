import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { resultsDirectory, root } from './places.ts'

const fileOf = (kind: string, table: string): string => join(resultsDirectory, kind, `${table}.json`)

/** What a table has found that was run whole, until the pages of docs/reference are written from it. */
export async function keepRows(kind: string, table: string, rows: readonly unknown[]): Promise<void> {
  await mkdir(join(resultsDirectory, kind), { recursive: true })
  await writeFile(fileOf(kind, table), JSON.stringify(rows, null, 2))
}

/**
 * The rows of every table of a directory, and the tables that were not run yet. A table is a test file that calls `maker`; tables
 * come in the order of their names.
 */
export async function keptRows<T>(
  kind: string,
  directory: string,
  maker: string,
): Promise<{ rows: T[]; missing: string[] }> {
  const names = await readdir(join(root, directory)).catch(() => [])
  const files = names.filter((name) => name.endsWith('.test.ts')).toSorted()
  const texts = await Promise.all(files.map((name) => readFile(join(root, directory, name), 'utf8')))
  const tables = files.filter((_, n) => texts[n]?.includes(`${maker}(`)).map((name) => name.replace('.test.ts', ''))
  const found = await Promise.all(
    tables.map(async (table) => ({ table, rows: await readFile(fileOf(kind, table), 'utf8').catch(() => undefined) })),
  )
  return {
    rows: found.flatMap(({ rows }) => (rows === undefined ? [] : (JSON.parse(rows) as T[]))),
    missing: found.flatMap(({ table, rows }) => (rows === undefined ? [table] : [])),
  }
}

/** Of a page's table. */
export const markdownRow = (cells: readonly string[]): string =>
  `| ${cells.map((text) => text.replaceAll('|', '/')).join(' | ')} |`
