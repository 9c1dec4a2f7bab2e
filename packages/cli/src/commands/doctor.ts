import { type DoctorReport, doctorReport } from '@anteroom/contract'
import { type Command, UsageError } from '../command.ts'
import { controllerOf, isUnreachable } from '../controller.ts'
import { runEntry } from '../run-entry.ts'
import { probe, probeText } from './probe.ts'

export const doctor: Command = {
  name: 'doctor',
  synopsis: 'doctor [--fix] [--probe]',
  does: 'what is well and what is not; repairs what is safe to; tries a session',
  flags: ['fix', 'probe'],
  async run(words, { home, json, flags }) {
    if (words.length > 0) throw new UsageError('The doctor takes no names.')
    const report = await examine(home, flags.has('fix'))
    const tried = flags.has('probe') ? await probe(await controllerOf(home)) : null
    const exitCode = report.verdict === 'failed' || tried?.outcome === 'failed' ? 1 : 0
    if (json) return { text: JSON.stringify({ ...report, probe: tried }, null, 2), exitCode }
    return { text: [reportText(report), ...(tried ? [probeText(tried)] : [])].join('\n\n'), exitCode }
  },
}

/** By the controller that runs, else without one. */
async function examine(home: string, fix: boolean): Promise<DoctorReport> {
  try {
    return await (await controllerOf(home)).doctor({ fix })
  } catch (error) {
    if (!isUnreachable(error)) throw error
    const printed = await runEntry('doctor-main.ts', ['--home', home, ...(fix ? ['--fix'] : [])])
    return doctorReport.parse(JSON.parse(printed))
  }
}

const marks = { ok: '✓', warning: '!', failed: '✗' } as const
const sentences = {
  ok: 'All is well.',
  warning: 'Sessions can be served; not everything is as it could be.',
  failed: 'Something is wrong that must be repaired.',
} as const

/** For a person at a terminal. */
export function reportText({ checks, verdict }: DoctorReport): string {
  const width = Math.max(...checks.map(({ name }) => name.length))
  const lines = checks.flatMap(({ name, verdict, found, remedy, fixed }) => [
    `${marks[verdict]} ${name.replaceAll('_', ' ').padEnd(width)}  ${found.replaceAll('\n', `\n${' '.repeat(width + 4)}`)}`,
    ...[fixed && `fixed: ${fixed}`, remedy && `→ ${remedy}`].flatMap((line) =>
      line ? [`  ${' '.repeat(width)}  ${line}`] : [],
    ),
  ])
  return [...lines, '', sentences[verdict]].join('\n')
}
