import { durationText } from '@anteroom/base'
import { type Diagnosis, sessionId } from '@anteroom/contract'
import { type Command, UsageError } from '../command.ts'
import { controllerOf } from '../controller.ts'

export const explain: Command = {
  name: 'explain',
  synopsis: 'explain <session>',
  does: 'what happened to a session, why it ended, what says so, what to do',
  flags: [],
  async run([id = '', ...more], { home, json }) {
    if (!sessionId.safeParse(id).success || more.length > 0)
      throw new UsageError('Name one session: ses_ and 24 letters or digits, as the dashboard and the log show it.')
    const found = await (await controllerOf(home)).sessions.diagnosis(id)
    return { text: json ? JSON.stringify(found, null, 2) : explanation(found), exitCode: 0 }
  },
}

/** For a person at a terminal. */
export function explanation(found: Diagnosis): string {
  const { session_id, status, outcome, code, summary } = found
  const sections = [
    `${session_id}  ${[status, outcome, code].filter((word) => word !== null).join(' · ')}\n\n${summary}`,
    list(facts(found)),
    section('Stages', list(found.stages.map(stageLine))),
    section('Evidence', found.evidence.map(evidenceText).join('\n')),
    section('What to do', found.advice.map((line, n) => `  ${n + 1}. ${line}`).join('\n')),
    section('Others', others(found)),
    code === null ? '' : `All that was written about it: npm run anteroom -- logs ${session_id}`,
  ]
  return sections.filter((text) => text !== '').join('\n\n')
}

const section = (title: string, text: string): string => (text === '' ? '' : `${title}\n${text}`)

/** Columns as wide as they have to be. */
function list(rows: readonly (readonly string[])[]): string {
  const columns = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, n) => Math.max(...rows.map((row) => row[n]?.length ?? 0)))
  return rows.map((row) => `  ${row.map((cell, n) => cell.padEnd(widths[n] ?? 0)).join('  ')}`.trimEnd()).join('\n')
}

function facts({ machine, detail }: Diagnosis): string[][] {
  const rows: string[][] = []
  if (machine) {
    const origin = machine.origin === null ? 'never ran' : machine.origin
    rows.push(['machine', `${machine.id} at ${machine.vm_ip}, ${origin}`], ['image', machine.image_id])
  }
  for (const [n, line] of (detail?.split('\n') ?? []).entries()) rows.push([n === 0 ? 'detail' : '', line])
  return rows
}

function stageLine({ name, duration_ms, usual_ms, state }: Diagnosis['stages'][number]): string[] {
  const took = duration_ms === null ? '' : durationText(duration_ms)
  const notes = [
    state === 'running' && 'runs',
    state === 'ended_here' && 'ended here',
    usual_ms !== null && `usually ${durationText(usual_ms)}`,
  ]
  return [name, took, notes.filter(Boolean).join(', ')]
}

const evidenceText = ({ kind, file, lines }: Diagnosis['evidence'][number]): string =>
  [`  ${kind}  ${file ?? '(its machine still runs)'}`, ...lines.map((line) => `    ${line}`)].join('\n')

function others({ similar, code }: Diagnosis): string {
  if (code === null || similar.same_code < 2) return ''
  const first = `  ${similar.same_code} of ${similar.ended} sessions of the last ${similar.hours} hours ended with ${code}:`
  return [first, ...similar.session_ids.map((id) => `    ${id}`)].join('\n')
}
