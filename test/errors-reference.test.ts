import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ErrorCode, errorCodes, errorDefinitions } from '@anteroom/contract'
import { describe, expect, test } from 'vitest'

const page = readFileSync(join(import.meta.dirname, '../docs/reference/errors.md'), 'utf8')

/** The text below each heading, by heading. */
const sections = new Map(
  page.split(/^##+ /m).map((section) => {
    const [heading = '', ...lines] = section.split('\n')
    return [heading, lines.join('\n').trim()] as const
  }),
)

const firstLine = (code: ErrorCode): string => {
  const { title, status, retryable } = errorDefinitions[code]
  return `**${title}** · ${status} · ${retryable ? 'try again' : 'do not try again unchanged'}`
}

const howTo = (code: ErrorCode): string =>
  `docs/reference/errors.md: the section of ${code} must look like this (what happened to get it, then what to do):\n\n` +
  `### ${code}\n\n${firstLine(code)}\n\nWhen: …\n\nWhat to do: …\n`

describe('docs/reference/errors.md', () => {
  test.each(errorCodes)('explains %s as the contract has it', (code) => {
    const [summary, when, todo, ...more] = sections.get(code)?.split('\n\n') ?? []
    expect(summary, howTo(code)).toBe(firstLine(code))
    expect(when, howTo(code)).toMatch(/^When: .{20,}\.$/s)
    expect(todo, howTo(code)).toMatch(/^What to do: .{10,}\.$/s)
    expect(more, howTo(code)).toEqual([])
  })

  test('explains nothing that the contract does not have, and nothing twice', () => {
    const headings = [...page.matchAll(/^### (.*)$/gm)].map((match) => match[1])
    expect(headings.toSorted(), 'remove the section, or append the code to packages/contract/src/errors.ts').toEqual(
      [...errorCodes].toSorted(),
    )
  })

  test('links only to pages and sections that exist', () => {
    for (const [, file, anchor] of page.matchAll(/\]\(([a-z]+\.md)(?:#([\w-]+))?\)/g)) {
      const target = readFileSync(join(import.meta.dirname, '../docs/reference', file ?? ''), 'utf8')
      const anchors = [...target.matchAll(/^#+ (.*)$/gm)].map((match) =>
        (match[1] ?? '')
          .toLowerCase()
          .replaceAll(/[^\w\- ]/g, '')
          .replaceAll(' ', '-'),
      )
      if (anchor) expect(anchors).toContain(anchor)
    }
  })
})
