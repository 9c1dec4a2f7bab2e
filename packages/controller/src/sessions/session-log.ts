import { parseJson } from '@anteroom/base'
import {
  type EvidenceKind,
  evidenceKinds,
  machineId,
  type SessionEvent,
  type SessionLog,
  type SessionLogLine,
} from '@anteroom/contract'
import { z } from 'zod'
import type { EvidenceTexts } from '../evidence/evidence.ts'
import type { LogRecord } from '../observe/observe.ts'

export interface FoundEvidence {
  readonly texts: EvidenceTexts
  /** Where each text is; null: the machine still runs. */
  readonly fileOf: (kind: EvidenceKind) => string | null
}

export interface SessionLogParts {
  readonly sessionId: string
  readonly events: readonly SessionEvent[]
  /** Of these machines: what was kept of them, or what they tell now. */
  readonly evidenceOf: (machineIds: readonly string[]) => Promise<FoundEvidence>
  /** Of the controller's log, those that name one of these ids. */
  readonly recordsOf: (ids: ReadonlySet<string>) => Promise<LogRecord[]>
}

/** The last ones of a session of hours under `log_level: debug`. */
const mostLines = 20_000

/**
 * Everything that was written about a session, by time: what the controller said of it, of its machines and of the requests that
 * concerned it, its events, and what its machine said. Lines of machines are those of this session alone: no machine serves two.
 */
export async function gatherSessionLog(parts: SessionLogParts): Promise<SessionLog> {
  const { sessionId, recordsOf, events } = parts
  const ofSession = await recordsOf(new Set([sessionId]))
  const machines = new Set(ofSession.flatMap(({ machine }) => machineId.safeParse(machine).data ?? []))
  const records = machines.size === 0 ? ofSession : await recordsOf(new Set([sessionId, ...machines]))
  const { texts, fileOf } = await parts.evidenceOf([...machines])
  const lines = [...records.map(ofController), ...events.map(ofEvent), ...ofAgent(texts.agent ?? '')]
  // Stable: lines of the same millisecond stay in the order of their source.
  const byTime = lines.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at))
  return {
    session_id: sessionId,
    machine_ids: [...machines],
    lines: byTime.slice(-mostLines),
    left_out: Math.max(0, byTime.length - mostLines),
    texts: evidenceKinds.flatMap((kind) => {
      const text = kind === 'agent' ? '' : (texts[kind] ?? '')
      return text.trim() === '' ? [] : [{ kind, file: fileOf(kind), text }]
    }),
  }
}

const ofController = ({ time, level, msg, session: _, ...fields }: LogRecord): SessionLogLine => ({
  ...{ at: time, source: 'controller', level, message: msg, fields },
})

const ofEvent = ({ at, type, data }: SessionEvent): SessionLogLine => ({
  ...{ at, source: 'event', level: 'info', message: type, fields: data },
})

const agentRecord = z.looseObject({
  at: z.iso.datetime(),
  level: z.enum(['debug', 'info', 'warn', 'error']),
  message: z.string(),
})

function ofAgent(text: string): SessionLogLine[] {
  return text.split('\n').flatMap((line) => {
    const { data } = agentRecord.safeParse(parseJson(line))
    if (!data) return []
    const { at, level, message, ...fields } = data
    return [{ at, source: 'agent', level, message, fields }]
  })
}
