import { z } from 'zod'
import { errorCode } from './errors.ts'
import { imageId, machineId, sessionId } from './ids.ts'
import { machineOrigins } from './machine.ts'
import { outcome, sessionStatus, stageName } from './session.ts'

/** What is kept of a machine when it goes. */
export const evidenceKinds = ['console', 'vmm', 'agent', 'egress', 'host', 'timeline'] as const
export type EvidenceKind = (typeof evidenceKinds)[number]

export const stageDiagnosis = z.object({
  name: stageName,
  started_at: z.iso.datetime(),
  /** null while the stage runs. */
  duration_ms: z.number().int().nonnegative().nullable(),
  /** `ended_here`: what ended the session happened in this stage. */
  state: z.enum(['done', 'running', 'ended_here']),
  /** Median of recent sessions that completed on machines of the same origin; null: there are none. */
  usual_ms: z.number().int().nonnegative().nullable(),
})

/** Answers, for an operator: what happened, why did it end, what says so, what is to be done, is it only this one? */
export const diagnosis = z.object({
  session_id: sessionId,
  status: sessionStatus,
  outcome: outcome.nullable(),
  /** One or two sentences. */
  summary: z.string(),
  /** null: nothing went wrong. */
  code: errorCode.nullable(),
  /** What exactly happened; never a secret. */
  detail: z.string().nullable(),
  /** null: it never had one. */
  machine: z
    .object({
      id: machineId,
      vm_ip: z.string(),
      image_id: imageId,
      origin: z.enum(machineOrigins).nullable(),
    })
    .nullable(),
  stages: z.array(stageDiagnosis),
  /** The lines that matter, not all there are: those are in `file`. */
  evidence: z.array(
    z.object({
      kind: z.enum(evidenceKinds),
      /** On the host; null: the machine still runs. */
      file: z.string().nullable(),
      lines: z.array(z.string()),
    }),
  ),
  /** What to do, the most likely to help first. */
  advice: z.array(z.string()),
  /** Sessions that were created in the last hours and have ended, and those of them with the same code. */
  similar: z.object({
    hours: z.number().int(),
    ended: z.number().int(),
    same_code: z.number().int(),
    /** The newest of them, without this one; at most five. */
    session_ids: z.array(sessionId),
  }),
})
export type Diagnosis = z.infer<typeof diagnosis>
