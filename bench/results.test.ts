import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { escapeXml } from './chart.ts'
import type { Figure } from './report.ts'
import { type Run, resultsOf, writeRun } from './results.ts'
import { formatTable } from './table.ts'

const figures: Figure[] = [
  { name: 'relay', unit: 'MB/s', values: [100, 120, 110] },
  {
    name: 'gateway <&"\'>',
    unit: 'MB/s',
    values: [220],
    baseline: 'relay',
    target: { text: 'at least 1×', met: true },
  },
  { name: 'first frame', unit: 'ms', values: [3, 1, 2], target: { text: 'under 1 ms', met: false } },
]

const run = (over: Partial<Run> = {}): Run => ({
  suite: 'sample',
  title: 'Sizes & <shapes>',
  quick: false,
  started_at: '2026-11-24T10:00:00.000Z',
  duration_seconds: 3,
  host: {
    cpu: 'A <CPU>',
    cores: 2,
    memory_mib: 2048,
    kernel: 'Linux 6',
    distribution: 'Debian',
    accelerator: 'tcg',
    qemu: null,
    node: 'v24',
  },
  revision: { commit: 'a'.repeat(40), dirty: true },
  load_before: [0, 0, 0],
  load_after: [1, 0.5, 0.25],
  results: resultsOf({ figures, notes: [] }),
  notes: [],
  ...over,
})

describe('results', () => {
  test('have the ratio of the medians', () => {
    expect(resultsOf({ figures, notes: [] })[1]).toMatchObject({ median: 220, compared: { with: 'relay', ratio: 2 } })
  })

  test.each([
    [[figures[0], figures[0]], 'same name'],
    [[{ name: 'empty', unit: 'ms', values: [] }], 'empty has no values'],
    [[{ name: 'alone', unit: 'ms', values: [1], baseline: 'nobody' }], 'alone: there is no figure nobody in ms'],
    [[figures[0], { name: 'apples', unit: 'ms', values: [1], baseline: 'relay' }], 'apples: there is no figure relay'],
  ])('a report that makes no sense is refused', (wrong, message) => {
    expect(() => resultsOf({ figures: wrong as Figure[], notes: [] })).toThrow(message)
  })
})

describe('table', () => {
  test('lines columns up, and says what was reached and what was missed', () => {
    expect(formatTable(run().results).split('\n')).toEqual([
      'figure         n  min  median  p95  unit  compared  target',
      '─────────────  ─  ───  ──────  ───  ────  ────────  ────────────────────',
      'relay          3  100     110  120  MB/s',
      'gateway <&"\'>  1  220     220  220  MB/s  2× relay  at least 1×: reached',
      'first frame    3    1       2    3  ms              under 1 ms: MISSED',
    ])
  })

  test('does not repeat the words that a figure shares with what it is compared with', () => {
    const of = (name: string, baseline?: string): Figure => ({
      name,
      unit: 'ms',
      values: [1],
      ...(baseline && { baseline }),
    })
    const figures = [of('list of all, 10 stored'), of('list of all, 1000 stored', 'list of all, 10 stored')]
    expect(formatTable(resultsOf({ figures, notes: [] }))).toMatch(/ {2}1× … 10 stored$/)
  })

  test('leaves columns out that nothing is in', () => {
    const plain = resultsOf({ figures: [{ name: 'a', unit: 'ms', values: [1] }], notes: [] })
    expect(formatTable(plain).split('\n')[0]).toBe('figure  n  min  median  p95  unit')
  })
})

describe('files', () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'anteroom-results-'))
  })
  afterEach(() => rm(directory, { recursive: true }))

  test('hold every value and what they were measured on; those of other suites stay', async () => {
    await writeFile(join(directory, 'other.json'), 'stays')
    await writeRun(directory, run())
    const read = JSON.parse(await readFile(join(directory, 'sample.json'), 'utf8')) as Run
    expect(read).toMatchObject({ ...run() })
    expect((await readdir(directory)).sort()).toEqual(['other.json', 'sample.json', 'sample.svg'])
    expect(await readFile(join(directory, 'other.json'), 'utf8')).toBe('stays')
  })

  test('the chart is well-formed XML, whatever the names are', async () => {
    const nasty = resultsOf({
      figures: [{ name: ']]> &amp; \u0000\u001b \ud800 <script>', unit: '<"\'&>', values: [0] }],
      notes: [],
    })
    for (const results of [run().results, nasty, []]) {
      await writeRun(directory, run({ results }))
      const svg = await readFile(join(directory, 'sample.svg'), 'utf8')
      expect(wellFormed(svg)).toBe(true)
      expect(svg).not.toMatch(/NaN|Infinity|undefined/)
    }
  })
})

test('text comes through escaping as it was', () => {
  const readBack = (text: string) => text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
  const text = `a < b && "c" > 'd' – 10⁶ 😀`
  expect(readBack(escapeXml(text))).toBe(text)
  expect(escapeXml(text)).not.toMatch(/[<>"']|&(?!#\d+;)/)
})

/** Tags that close in order, quoted attributes, references that are complete, characters that XML 1.0 has. */
function wellFormed(xml: string): boolean {
  const open: string[] = []
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML forbids
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f]|\p{Surrogate}/u.test(xml)) return false
  const rest = xml.replace(/<(\/?)([a-z]+)((?: [\w-]+="[^"<]*")*)(\/?)>/gi, (_, closes, name: string, __, empty) => {
    if (closes) return open.pop() === name ? '' : '<'
    if (!empty) open.push(name)
    return ''
  })
  return open.length === 0 && !/<|&(?!#\d+;)/.test(rest)
}
