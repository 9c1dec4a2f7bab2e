import { z } from 'zod'
import { type ErrorCode, errorCode } from './errors.ts'
import { connectionId, imageId, machineId, projectId, sessionId } from './ids.ts'
import { machineOrigins } from './machine.ts'

export const sessionStatuses = ['queued', 'starting', 'vm_created', 'ready', 'capturing', 'ending', 'ended'] as const
export const sessionStatus = z.enum(sessionStatuses)
export type SessionStatus = z.infer<typeof sessionStatus>

export const outcomes = ['completed', 'failed', 'expired', 'cancelled'] as const
export const outcome = z.enum(outcomes)
export type Outcome = z.infer<typeof outcome>

/** The steps of a session in the order in which they happen. */
export const stageNames = [
  'queue',
  'network',
  'machine',
  'boot',
  'claim',
  'screen',
  'open',
  'sign_in',
  'capture',
  'store',
  'teardown',
] as const
export const stageName = z.enum(stageNames)
export type StageName = z.infer<typeof stageName>

export const stage = z.object({
  name: stageName,
  started_at: z.iso.datetime(),
  /** null while the stage runs. */
  duration_ms: z.number().int().nonnegative().nullable(),
})

export const failure = z.object({
  code: errorCode,
  stage: stageName.nullable(),
  /** One sentence for the account owner. */
  message: z.string(),
  /** For the operator. */
  hint: z.string(),
  /** What exactly happened; never a secret. */
  detail: z.string().nullable(),
})
export type Failure = z.infer<typeof failure>

/** What was handed over, in counts and names; never values. Shown to the account owner. */
export const captureSummary = z.object({
  kind: z.enum(['oauth2', 'website']),
  tokens: z.array(z.enum(['access_token', 'refresh_token', 'id_token'])),
  scopes: z.array(z.string()),
  cookies: z.number().int(),
  origins: z.array(z.string()),
  local_storage: z.number().int(),
  session_storage: z.number().int(),
  indexed_db: z.number().int(),
})
export type CaptureSummary = z.infer<typeof captureSummary>

/** The account holder's name in the integrator's own system; printable, no control characters. */
export const subject = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, 'must not contain control characters')

export const createSession = z.strictObject({
  provider: z.string().min(1).max(64),
  subject,
  connection_id: connectionId.optional(),
  /** At most what the operator allows (`timeouts.max_session_seconds`). */
  timeout_seconds: z.number().int().min(5).max(86_400).optional(),
  return_url: z
    .url({ protocol: /^https?$/ })
    .max(2000)
    .optional(),
})
export type CreateSession = z.infer<typeof createSession>

export const extendSession = z.strictObject({
  /** Only says that somebody is there: the hard limit stays where it is. */
  idle_only: z.boolean().default(false),
})
export type ExtendSession = z.infer<typeof extendSession>

/** What a queued session can be waiting for, by error codes. */
export const queueReasons = [
  'capacity_exhausted',
  'ip_pool_exhausted',
  'insufficient_memory',
  'insufficient_cpu',
  'disk_full',
  'subject_limit_reached',
  'key_limit_reached',
  'provider_limit_reached',
] as const satisfies readonly ErrorCode[]
export type QueueReason = (typeof queueReasons)[number]

export const queuePlace = z.object({
  /** 1: the next one. May grow when somebody comes whose API key has fewer machines. */
  position: z.number().int().positive(),
  /** By how long recent sessions had their machines; null where none tells. */
  estimated_wait_seconds: z.number().int().nonnegative().nullable(),
  /** Why the queue does not move; null: it does. */
  reason: z.enum(queueReasons).nullable(),
})
export type QueuePlace = z.infer<typeof queuePlace>

export const session = z.object({
  id: sessionId,
  project_id: projectId,
  provider: z.string(),
  subject: z.string(),
  status: sessionStatus,
  outcome: outcome.nullable(),
  /** null: it does not wait for a machine, or the controller has just started. */
  queue: queuePlace.nullable(),
  browser_vm_id: machineId.nullable(),
  vm_ip: z.string().nullable(),
  vnc_url: z.string().nullable(),
  image_id: imageId.nullable(),
  /** How its machine came to run; null: it has not run. */
  machine_origin: z.enum(machineOrigins).nullable(),
  stages: z.array(stage),
  failure: failure.nullable(),
  captured: captureSummary.nullable(),
  connection_id: connectionId.nullable(),
  return_url: z.string().nullable(),
  created_at: z.iso.datetime(),
  /** The hard limit: it ends by then, whatever anybody does. */
  expires_at: z.iso.datetime(),
  /** No extension moves `expires_at` beyond this. */
  may_extend_until: z.iso.datetime(),
  /** It ends by then unless somebody opens the live view with control; null: somebody has, or it is not ready. */
  first_connect_expires_at: z.iso.datetime().nullable(),
  /** It ends by then unless somebody with control does something; null while that does not count. */
  idle_expires_at: z.iso.datetime().nullable(),
  ended_at: z.iso.datetime().nullable(),
})
export type Session = z.infer<typeof session>

/** What somebody is told who opens the link for the first time after the end: nothing about the account. */
export const sessionEnd = session.pick({ return_url: true }).extend({
  outcome,
  /** null: it completed. */
  failure: failure.pick({ code: true, message: true }).nullable(),
  provider_title: z.string(),
})
export type SessionEnd = z.infer<typeof sessionEnd>

/** The answer to POST /v1/sessions: the only time the entry secret is shown. */
export const createdSession = session.extend({ hosted_url: z.url() })
export type CreatedSession = z.infer<typeof createdSession>

/** One event on a session's SSE stream (`event: session`, `id:` is `seq`). */
export const sessionEvent = z.object({
  seq: z.number().int(),
  session_id: sessionId,
  type: z.enum(['created', 'status', 'stage', 'entered', 'entry_refused', 'agreed', 'ticket', 'viewer', 'extended']),
  at: z.iso.datetime(),
  data: z.record(z.string(), z.unknown()),
})
export type SessionEvent = z.infer<typeof sessionEvent>
