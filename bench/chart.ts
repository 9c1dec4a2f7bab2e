import type { Result, Run } from './results.ts'
import { formatNumber } from './statistics.ts'
import { ratioText, targetText } from './table.ts'

/** Long names and remarks make the picture wider, never the bars shorter than this. */
const leastWidth = 960
const leastBar = 280
const margin = 24
const rowHeight = 26
const barHeight = 14
/** Of the text at 12px, on the safe side for the fonts that `system-ui` stands for. */
const characterWidth = 6.4

/**
 * Colours of both schemes, each readable on its own ground (contrast of text at least 7:1). The ground is drawn, because the page
 * around the picture may have the other scheme than the system.
 */
const style = `
  svg { --ground: #ffffff; --ink: #1b1f24; --faint: #57606a; --rule: #d0d7de; --bar: #2f6fd6; --whisker: #1b1f24; --missed: #b3261e }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #15191f; --ink: #e8ecf1; --faint: #a4aeb9; --rule: #333b45; --bar: #5b9bf5; --whisker: #e8ecf1; --missed: #ff9a91 }
  }
  text { font: 12px system-ui, sans-serif; fill: var(--ink) }
  .title { font-size: 16px; font-weight: 600 }
  .unit { font-weight: 600 }
  .faint { fill: var(--faint) }
  .missed { fill: var(--missed); font-weight: 600 }
  .ground { fill: var(--ground) }
  .bar { fill: var(--bar) }
  .axis { stroke: var(--rule) }
  .whisker { stroke: var(--whisker); stroke-width: 1.5; fill: none }
`

/** Text of an element or of a quoted attribute. What XML 1.0 cannot hold at all is left out. */
export const escapeXml = (text: string): string =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML forbids
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, '')
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

const text = (x: number, y: number, content: string, className = '', anchor = 'start'): string =>
  `<text x="${round(x)}" y="${round(y)}" class="${className}" text-anchor="${anchor}">${escapeXml(content)}</text>`

const round = (value: number): number => Math.round(value * 10) / 10

/** Horizontal bars of the medians, a whisker from there to the 95th percentile; each unit has its own scale. */
export function drawChart(run: Run): string {
  const groups = Map.groupBy(run.results, ({ unit }) => unit)
  const width = Math.max(leastWidth, ...[...groups.values()].map((results) => around(results) + leastBar))
  const parts = [text(margin, 36, run.title, 'title'), text(margin, 56, subtitle(run), 'faint')]
  let y = 80
  for (const [unit, results] of groups) {
    parts.push(text(margin, y + 14, `${unit} · bar: median, whisker: up to p95`, 'unit'))
    parts.push(...drawGroup(results, y + 26, width - around(results)))
    y += 26 + results.length * rowHeight + 18
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img">`,
    `<title>${escapeXml(run.title)}</title>`,
    `<style>${style}</style>`,
    `<rect class="ground" width="${width}" height="${y}" rx="8"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n')
}

const longest = (texts: readonly string[]): number =>
  Math.ceil(Math.max(...texts.map((line) => line.length)) * characterWidth)
const namesWidth = (results: readonly Result[]): number => longest(results.map(({ name }) => name))
/** All that a row of this group needs besides its bar. */
const around = (results: readonly Result[]): number =>
  2 * margin + namesWidth(results) + longest(results.map(remark)) + 20

function subtitle({ host, started_at, revision, quick }: Run): string {
  const commit = `${revision.commit?.slice(0, 10) ?? 'no commit'}${revision.dirty ? ' (changed since)' : ''}`
  const parts = [host.cpu, `${host.cores} cores`, started_at.slice(0, 10), commit]
  return [...parts, ...(quick ? ['QUICK: few measurements'] : [])].join(' · ')
}

function drawGroup(results: readonly Result[], top: number, room: number): string[] {
  const left = margin + namesWidth(results) + 12
  const most = Math.max(...results.map(({ median, p95 }) => Math.max(median, p95)))
  const place = (value: number): number => (most > 0 ? (Math.max(0, value) / most) * room : 0)
  const bottom = top + results.length * rowHeight
  return [
    `<line class="axis" x1="${left}" x2="${left}" y1="${top}" y2="${bottom}"/>`,
    ...results.flatMap((result, index) => drawRow(result, { left, middle: top + (index + 0.5) * rowHeight, place })),
  ]
}

interface Row {
  readonly left: number
  readonly middle: number
  readonly place: (value: number) => number
}

function drawRow(result: Result, { left, middle, place }: Row): string[] {
  const [bar, end] = [round(place(result.median)), round(left + place(result.p95))]
  const start = round(left + place(result.median))
  const x = Math.max(start, end) + 8
  const whisker = `M${start} ${middle}H${end}M${end} ${middle - 4}v8`
  return [
    text(left - 8, middle + 4, result.name, '', 'end'),
    `<rect class="bar" x="${round(left)}" y="${middle - barHeight / 2}" width="${bar}" height="${barHeight}" rx="2"/>`,
    `<path class="whisker" d="${whisker}"/>`,
    text(x, middle + 4, remark(result), result.target?.met === false ? 'missed' : 'faint'),
  ]
}

function remark(result: Result): string {
  const figures = `${formatNumber(result.median)} · p95 ${formatNumber(result.p95)}`
  return [figures, ratioText(result), result.target ? targetText(result.target) : ''].filter((part) => part).join(' · ')
}
