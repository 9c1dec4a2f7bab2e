import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const page = readFileSync(join(root, 'SECURITY.md'), 'utf8')
const isThere = (path: string): boolean => existsSync(join(root, path))

test('SECURITY.md names only files that exist', () => {
  const named = [...page.matchAll(/`((?:packages|test|docs|bench)\/[\w./-]+\.\w+)`/g)].map(([, path]) => path ?? '')
  const linked = [...page.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, path]) => path ?? '')
  expect(named.length).toBeGreaterThan(10)
  expect(linked.length).toBeGreaterThan(2)
  expect([...named, ...linked].filter((path) => !isThere(path))).toEqual([])
})

test.each([
  'account owner',
  'integrator',
  'operator',
  'provider’s page',
  'another tenant',
  'another user of the host',
  'someone with the disk',
])('SECURITY.md says what %s may try, what stops it and what does not', (who) => {
  const row = page.split('\n').find((line) => line.startsWith(`| **${who.replace('’', "'")}**`))
  const [, , tries = '', stops = '', , tried = ''] = row?.split('|').map((cell) => cell.trim()) ?? []
  expect(tries, who).not.toBe('')
  expect(stops, who).not.toBe('')
  expect(tried, who).toMatch(/`.*test\.ts`/)
})

test('README links to it', () => {
  expect(readFileSync(join(root, 'README.md'), 'utf8')).toContain('](SECURITY.md)')
})
