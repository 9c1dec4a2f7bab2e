import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { doctorChecks } from '@anteroom/contract'
import { expect, test } from 'vitest'

test('docs/reference/doctor.md has a line for each check, in their order', () => {
  const page = readFileSync(join(import.meta.dirname, '../docs/reference/doctor.md'), 'utf8')
  const described = [...page.matchAll(/^\| `(\w+)` \| .{20,} \|/gm)].map(([, name]) => name)
  expect(described).toEqual([...doctorChecks])
})
