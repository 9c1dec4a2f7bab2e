/** The closed list of audited actions, three ways: contract, docs, and what writes them. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { auditActions, auditActorKinds, auditProblems } from '@anteroom/contract'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const page = readFileSync(join(root, 'docs/reference/audit.md'), 'utf8')

/** Names in the first column of the table below a heading of this first column. */
const namesBelow = (column: string): string[] => {
  const [, table = ''] = page.split(`| ${column} |`)
  const [lines = ''] = table.split('\n\n')
  return [...lines.matchAll(/^\| `([\w.]+)` \| .{4,} \|$/gm)].map(([, name]) => name ?? '')
}

test.each([
  ['action', auditActions],
  ['problem', auditProblems],
  ['`actor.kind`', auditActorKinds],
])('docs/reference/audit.md has a line for each %s', (column, names) => {
  expect(namesBelow(column).toSorted()).toEqual([...names].toSorted())
})

test('actions are in the order of their names', () => {
  expect(auditActions.toSorted()).toEqual([...auditActions])
})

const source = readdirSync(join(root, 'packages/controller/src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map((name) => readFileSync(join(root, 'packages/controller/src', name), 'utf8'))
  .join('\n')

test.each(auditActions)('%s is written by something', (action) => {
  expect(source).toContain(`'${action}'`)
})
