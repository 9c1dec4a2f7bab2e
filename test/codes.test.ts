/** The closed list of error codes, five ways: contract, docs, API, SDK, and what uses them. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { type ErrorCode, errorCodes, errorDefinitions } from '@anteroom/contract'
import { type ErrorCode as SdkErrorCode, errorDefinitions as sdkErrorDefinitions } from '@anteroom/sdk'
import { afterAll, describe, expect, expectTypeOf, test } from 'vitest'
import { startEdge } from '../packages/controller/src/http/test/running-edge.ts'

const root = join(import.meta.dirname, '..')
const edge = await startEdge()
afterAll(() => edge.stop())

describe('contract', () => {
  /** What the account owner has no reason to know. */
  const jargon =
    /`|_|\b(API|VMs?|VMM|QEMU|KVM|HTTP|OAuth|JSON|IP|tokens?|sessions?|controller|snapshot|image|kernel|agent|vault|egress|header|origin|cookie)\b/i
  const deeds =
    /\b(add|allow|ask|build|check|correct|create|end|enlarge|find|free|install|list|look|lower|open|raise|read|repeat|report|see|send|set|start|try|use|wait)\b/i

  test.each(errorCodes)('%s says what a person, an operator and a program need', (code) => {
    const { status, title, person, hint, retryable } = errorDefinitions[code]
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(600)
    expect(title, 'title: a few words, no full stop').toMatch(/^[A-Z].{4,50}[^.]$/)
    expect(person, 'person: one or two whole sentences, short enough for a phone').toMatch(/^[A-Z].{15,110}\.$/)
    expect(person, 'person: no word of ours').not.toMatch(jargon)
    expect(hint, 'hint: whole sentences').toMatch(/^[A-Z].{15,}[.?]$/)
    expect(hint, 'hint: says what to do, in a word of the list').toMatch(deeds)
    expect(retryable).toBeTypeOf('boolean')
  })

  test('names nobody twice', () => {
    const titles = errorCodes.map((code) => errorDefinitions[code].title)
    expect(new Set(titles).size).toBe(titles.length)
  })
})

describe('docs/reference/errors.md', () => {
  const page = readFileSync(join(root, 'docs/reference/errors.md'), 'utf8')

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
      const target = readFileSync(join(root, 'docs/reference', file ?? ''), 'utf8')
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

describe('API', () => {
  const { components } = edge.http.app.swagger() as unknown as {
    components: { schemas: Record<string, Record<string, unknown>> }
  }

  test('has the list once, and whatever says a code refers to it', () => {
    const { ErrorCode: list, ...others } = components.schemas
    expect(list?.enum).toEqual(errorCodes)
    expect(JSON.stringify(others), 'say errorCode of the contract, not z.enum(errorCodes)').not.toContain('"internal"')
  })

  test('GET /errors gives the definitions to whoever has no SDK', async () => {
    const told = (await (await edge.call('GET', '/errors')).json()) as Record<string, object>
    expect(Object.keys(told)).toEqual(errorCodes)
    for (const code of errorCodes) expect(errorDefinitions[code]).toMatchObject(told[code] ?? { code })
  })
})

test('the SDK has the same list, as a type and with all that is said of each', () => {
  expectTypeOf<SdkErrorCode>().toEqualTypeOf<ErrorCode>()
  expect(
    sdkErrorDefinitions,
    'write it anew: npm test -- unit packages/controller/src/http/openapi-sdk.test.ts -u',
  ).toEqual(errorDefinitions)
})

describe('code', () => {
  const walk = (directory: string): string[] =>
    readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
      ['node_modules', 'dist'].includes(entry.name)
        ? []
        : entry.isDirectory()
          ? walk(join(directory, entry.name))
          : [join(directory, entry.name)],
    )
  const files = ['packages', 'test']
    .flatMap((directory) => walk(join(root, directory)))
    .flatMap((path) => {
      const name = relative(root, path)
      const counts = /\.tsx?$/.test(name) && !name.endsWith('.gen.ts') && name !== 'test/codes.test.ts'
      return counts ? [{ name, text: readFileSync(path, 'utf8') }] : []
    })
  const isTest = (name: string): boolean => /\.(test|host-test|contract|fixture)\.tsx?$|(^|\/)test\//.test(name)
  /** What lists or compares codes gives none: without it, what is left of a source is where they come from. */
  const giving = (text: string): string =>
    text.replaceAll(/\[[^[\]]*\]/g, '').replaceAll(/([!=]==|\bcase)\s*'\w+'/g, '')

  const sources = files
    .filter(({ name }) => !isTest(name) && !/^packages\/(contract|web)\//.test(name))
    .map(({ text }) => giving(text))
  // As a value of its own: a string, the text of an element, or in the brackets after a message.
  const expected = files.filter(({ name }) => isTest(name)).map(({ text }) => text)

  test.each(errorCodes)('%s is given by something and expected by a test', (code) => {
    expect(
      sources.some((text) => text.includes(`'${code}'`)),
      `nothing gives ${code}: throw it, or remove it from packages/contract and docs/reference/errors.md`,
    ).toBe(true)
    expect(
      expected.some((text) => new RegExp(`['"\`>(]${code}['"\`<)]`).test(text)),
      `no test expects ${code}: write one beside what throws it`,
    ).toBe(true)
  })
})
