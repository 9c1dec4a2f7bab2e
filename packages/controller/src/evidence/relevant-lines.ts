import { parseJson } from '@anteroom/base'
import { type EgressHost, type EvidenceKind, egressHost } from '@anteroom/contract'
import { z } from 'zod'

/** What went wrong, in the words of a kernel, its init and the programs that print on a console. */
const trouble =
  /panic|\bBUG\b|oops|error|fail|fault|out of memory|\boom\b|killed|unable|cannot|could not|not found|refused|denied|no space|timed? ?out|corrupt/i
/** Printed by every kernel that is well: names of devices and features, not events. */
const harmless = /fail-?safe|error (reporting|detection|correction)|failover|no error|ignor/i

const mostLines = 12
const lastWhenQuiet = 3
const longestLine = 300

/** The few lines that an operator would look for. Control characters and colours are gone, lines are cut. */
export function relevantLines(kind: EvidenceKind, text: string): string[] {
  return choose(kind, text).map(plain)
}

function choose(kind: EvidenceKind, text: string): string[] {
  switch (kind) {
    case 'console':
      return telling(linesOf(text), (line) => trouble.test(line) && !harmless.test(line))
    case 'vmm':
      return linesOf(text).slice(-mostLines)
    case 'agent':
      return telling(linesOf(text), (line) => /"level":"(warn|error)"/.test(line)).map(agentLine)
    case 'egress':
      return refusals(text)
    case 'host':
      return hostLines(text)
    case 'timeline':
      // The stages are told from the database, where they are kept for longer.
      return []
    default:
      return kind satisfies never
  }
}

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line.trim() !== '')

/** The last ones that tell of trouble; how it ended, where none does. */
function telling(lines: readonly string[], tells: (line: string) => boolean): string[] {
  const found = lines.filter(tells)
  return found.length > 0 ? found.slice(-mostLines) : lines.slice(-lastWhenQuiet)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: a serial console sends colours.
const escapes = /\u001b\[[0-9;?]*[A-Za-z]/g
const plain = (line: string): string =>
  line
    .replace(escapes, '')
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, longestLine)

const agentRecord = z.looseObject({ at: z.string(), message: z.string() })

/** A line of the agent's log as a person would write it. */
function agentLine(line: string): string {
  const record = agentRecord.safeParse(parseJson(line))
  if (!record.success) return line
  const { at, message, level: _, ...rest } = record.data
  const fields = Object.entries(rest).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  return [at.slice(11, 19), message, ...fields].join(' ')
}

function refusals(text: string): string[] {
  const refused = notConnected(text).map((host) => {
    const name = host.host === null ? 'other hosts' : `${host.host}:${host.port}`
    const times = host.connections === 1 ? 'once' : `${host.connections} times`
    return `${host.result}: ${name}, ${times}${host.reason === null ? '' : `: ${host.reason}`}`
  })
  return refused.length > mostLines
    ? [...refused.slice(0, mostLines - 1), `and ${refused.length - mostLines + 1} more`]
    : refused
}

/** Hosts that the machine asked for in vain. */
export const notConnected = (text: string | undefined): EgressHost[] =>
  (z.array(egressHost).safeParse(parseJson(text ?? '')).data ?? []).filter(({ result }) => result !== 'connected')

/** What the host was like when the machine went. */
export const hostRecord = z.object({
  at: z.string(),
  /** Runnable processes, averaged over 1, 5 and 15 minutes. */
  load: z.array(z.number()).length(3),
  cores: z.number().int(),
  availableMemoryMiB: z.number(),
  totalMemoryMiB: z.number(),
  /** In the state directory. */
  freeDiskMiB: z.number(),
  machines: z.number().int(),
})
export type HostRecord = z.infer<typeof hostRecord>

/** undefined where nothing was measured. */
export const hostOf = (text: string | undefined): HostRecord | undefined =>
  hostRecord.safeParse(parseJson(text ?? '')).data

function hostLines(text: string): string[] {
  const host = hostOf(text)
  if (!host) return []
  return [
    `load ${host.load.map((load) => load.toFixed(1)).join(' ')} on ${host.cores} cores`,
    `memory: ${host.availableMemoryMiB} of ${host.totalMemoryMiB} MiB available`,
    `disk: ${host.freeDiskMiB} MiB free in the state directory`,
    `machines: ${host.machines}`,
  ]
}
