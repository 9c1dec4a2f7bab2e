import { durationText } from '@anteroom/base'
import {
  type Diagnosis,
  type ErrorCode,
  type EvidenceKind,
  errorDefinitions,
  evidenceKinds,
  type Session,
  type StageName,
} from '@anteroom/contract'
import { type EvidenceTexts, hostOf, notConnected, relevantLines } from '../evidence/evidence.ts'

export interface Findings {
  readonly session: Session
  /** Kept, or of the machine that still runs. */
  readonly texts: EvidenceTexts
  /** Where each text is; null: the machine still runs. */
  readonly fileOf: (kind: EvidenceKind) => string | null
  /** Of recent sessions that completed on machines of the same origin, by stage. */
  readonly usualMs: ReadonlyMap<StageName, number>
  readonly similar: Diagnosis['similar']
  /** Of each machine. */
  readonly memoryMiB: number
  readonly nowMs: number
}

/** A stage that takes so many times as long as usual is worth a line, when it took this long at all. */
const slowTimes = 3
const slowestUnnoticedMs = 5_000
/** This many of a kind are no accident. */
const notByAccident = 3
const littleDiskMiB = 2048

/** What an operator wants to know of a session at three in the morning, in words. */
export function diagnose(findings: Findings): Diagnosis {
  const { session, texts, fileOf, similar } = findings
  const { id, failure, browser_vm_id, vm_ip, image_id, machine_origin } = session
  const evidence = evidenceKinds.flatMap((kind) => {
    const lines = relevantLines(kind, texts[kind] ?? '')
    return lines.length === 0 ? [] : [{ kind, file: fileOf(kind), lines }]
  })
  return {
    session_id: id,
    status: session.status,
    outcome: session.outcome,
    summary: summaryOf(findings),
    code: failure?.code ?? null,
    detail: failure?.detail ?? null,
    machine: browser_vm_id && vm_ip && image_id ? { id: browser_vm_id, vm_ip, image_id, origin: machine_origin } : null,
    stages: stagesOf(findings),
    evidence,
    advice: adviceOf(findings),
    similar,
  }
}

const stagesOf = ({ session, usualMs }: Findings): Diagnosis['stages'] =>
  session.stages.map((stage) => ({
    ...stage,
    state: session.failure?.stage === stage.name ? 'ended_here' : stage.duration_ms === null ? 'running' : 'done',
    usual_ms: usualMs.get(stage.name) ?? null,
  }))

function summaryOf({ session, nowMs }: Findings): string {
  const { failure, status, outcome, queue, ended_at, created_at } = session
  const lasted = durationText((ended_at === null ? nowMs : Date.parse(ended_at)) - Date.parse(created_at))
  if (queue?.reason)
    return `It waits for a machine, as number ${queue.position} in the queue and for ${lasted} now: ${errorDefinitions[queue.reason].title} (${queue.reason}).`
  if (outcome === null)
    return `It runs: ${status} for ${sinceLastStage(session, nowMs)}, ${lasted} after it was asked for.`
  if (failure === null) return `It completed after ${lasted}; the vault has confirmed the credential.`
  const where = failure.stage === null ? 'before its first stage' : `in stage ${failure.stage}`
  const ending = status === 'ended' ? '' : ' Its machine is being destroyed.'
  return `It ${verbs[outcome]} ${where} after ${lasted}: ${errorDefinitions[failure.code].title} (${failure.code}).${ending}`
}

const verbs = { completed: 'completed', failed: 'failed', expired: 'expired', cancelled: 'was cancelled' } as const

function sinceLastStage({ stages, created_at }: Session, nowMs: number): string {
  return durationText(nowMs - Date.parse(stages.at(-1)?.started_at ?? created_at))
}

/** What people did or did not do: nothing is to be repaired. */
const byPeople: readonly ErrorCode[] = ['session_cancelled', 'consent_denied', 'session_idle', 'session_never_opened']

function adviceOf(findings: Findings): string[] {
  const { session, similar, texts, memoryMiB } = findings
  if (session.queue?.reason) return [errorDefinitions[session.queue.reason].hint]
  const code = session.failure?.code
  if (code === undefined) return []
  const advice: string[] = [errorDefinitions[code].hint, ...refusedHosts(code, texts.egress)]
  if (byPeople.includes(code)) return advice
  const host = hostOf(texts.host)
  if (host && host.availableMemoryMiB < memoryMiB)
    advice.push(
      `The host had ${host.availableMemoryMiB} MiB of memory left, a machine takes up to ${memoryMiB}: free some, or lower limits.max_machines.`,
    )
  if (host && host.freeDiskMiB < littleDiskMiB)
    advice.push(`The state directory had ${host.freeDiskMiB} MiB of disk left: free some.`)
  const load = host?.load[0] ?? 0
  if (host && load > 2 * host.cores)
    advice.push(
      `The host was busy (load ${load.toFixed(1)} on ${host.cores} cores): emulated machines then take several times as long.`,
    )
  advice.push(...slowStages(findings))
  if (similar.same_code >= notByAccident)
    advice.push(
      `${similar.same_code} of ${similar.ended} sessions of the last ${similar.hours} hours ended with ${code}: look at the host and the image, not at this session.`,
    )
  return advice
}

/** Ends that a page which was not let out explains: the provider was not reached, or a person was stuck before a blank page. */
const byEgress: readonly ErrorCode[] = [
  ...(['egress_denied', 'egress_unreachable', 'issuer_unreachable', 'token_exchange_failed'] as const),
  ...(['session_expired', 'session_idle'] as const),
]
const mostRefused = 3

function refusedHosts(code: ErrorCode, egress: string | undefined): string[] {
  if (!byEgress.includes(code)) return []
  const refused = notConnected(egress).filter(({ host, result }) => host !== null && result === 'refused')
  const often = refused.toSorted((a, b) => b.connections - a.connections).slice(0, mostRefused)
  if (often.length === 0) return []
  const names = often.map(({ host, port, connections }) => `${host}:${port} (${connections}×)`).join(', ')
  return [
    `The machine was not let out to ${names}: if the provider's pages need that, add it to egress.allow of its definition.`,
  ]
}

/** Sign-in takes as long as the person does. */
const slowStages = ({ session, usualMs }: Findings): string[] =>
  session.stages.flatMap(({ name, duration_ms }) => {
    const usual = usualMs.get(name)
    if (name === 'sign_in' || usual === undefined || duration_ms === null || duration_ms < slowestUnnoticedMs) return []
    return duration_ms > slowTimes * usual
      ? [`Stage ${name} took ${durationText(duration_ms)}; ${durationText(usual)} is usual.`]
      : []
  })
