import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { oauth2Provider, websiteProvider } from '@anteroom/contract'
import { expect, test } from 'vitest'
import { z } from 'zod'

const page = readFileSync(join(import.meta.dirname, '../docs/reference/providers.md'), 'utf8')

/** `name`, `capture.cookies` and so on. What lies in unions and records has no name of its own. */
function fieldsOf(schema: z.core.$ZodType, above = ''): string[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return fieldsOf(schema.unwrap(), above)
  if (!(schema instanceof z.ZodObject)) return [above]
  return Object.entries(schema.shape).flatMap(([key, inner]) => fieldsOf(inner, above ? `${above}.${key}` : key))
}

const fields = new Set([...fieldsOf(oauth2Provider), ...fieldsOf(websiteProvider)])

test.each([...fields])('docs/reference/providers.md has a row for %s', (field) => {
  expect(page).toContain(`\n| \`${field}\` | `)
})

test('every field that docs/reference/providers.md explains exists', () => {
  const documented = [...page.matchAll(/^\| `([a-z_.]+)` \| [^|]+ \| /gm)].map((match) => match[1] ?? '')
  expect(documented.length).toBeGreaterThanOrEqual(fields.size)
  const known = (field: string): boolean =>
    [...fields].some((one) => one === field || one.startsWith(`${field}.`) || field.startsWith(`${one}.`))
  expect(documented.filter((field) => !known(field))).toEqual([])
})
