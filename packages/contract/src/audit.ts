import { z } from 'zod'

/**
 * What is written down for ever, each with a line in docs/reference/audit.md. Whoever adds something that changes a thing, or gives a
 * credential out, adds its action here; a test walks the routes.
 */
export const auditActions = [
  'audit.damaged',
  'audit.exported',
  'connection.deleted',
  'control.answered',
  'control.asked',
  'controller.started',
  'controller.stopped',
  'credential.read',
  'credential.stored',
  'entry.refused',
  'entry.used',
  'host.repaired',
  'key.created',
  'key.revoked',
  'key.rotated',
  'operator.link_made',
  'operator.signed_in',
  'operator.signed_out',
  'project.created',
  'session.agreed',
  'session.cancelled',
  'session.capture_requested',
  'session.created',
  'session.ended',
  'session.extended',
  'session.link_renewed',
  'ticket.issued',
  'ticket.revoked',
  'ticket.used',
  'vault.rotation_asked',
] as const
export const auditAction = z.enum(auditActions)
export type AuditAction = z.infer<typeof auditAction>

/**
 * Who did it: a key by its id, the operator by the subject that their identity provider names (null: a link of this host), the
 * account owner's browser by the session that its cookie is bound to, whoever gave no name, the controller itself.
 */
export const auditActorKinds = ['key', 'operator', 'visitor', 'nobody', 'controller'] as const
export const auditActor = z.strictObject({ kind: z.enum(auditActorKinds), id: z.string().nullable() })
export type AuditActor = z.infer<typeof auditActor>

/** What it was done to. Tickets are named by their session, credentials by their connection. */
export const auditTargetKinds = [
  'session',
  'connection',
  'project',
  'key',
  'operator',
  'host',
  'controller',
  'audit',
  'vault',
] as const
export const auditTarget = z.strictObject({ kind: z.enum(auditTargetKinds), id: z.string().nullable() })
export type AuditTarget = z.infer<typeof auditTarget>

export const auditOutcomes = ['done', 'refused', 'failed'] as const

/** Flat and short; never a secret, and never what names a person: only ids, which say nothing once their rows are gone. */
export const auditDetails = z.record(z.string(), z.union([z.string(), z.number().int(), z.boolean(), z.null()]))
export type AuditDetails = z.infer<typeof auditDetails>

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)

/** One entry of the audit. `hash` is the SHA-256 of everything else as canonical JSON (RFC 8785). */
export const auditEntry = z.strictObject({
  /** 1 for the first, and one more for each. */
  seq: z.int().positive(),
  at: z.iso.datetime(),
  actor: auditActor,
  action: auditAction,
  target: auditTarget,
  outcome: z.enum(auditOutcomes),
  /** The `x-request-id` of the answer; null: nobody asked. */
  request_id: z.string().nullable(),
  client_address: z.string().nullable(),
  details: auditDetails,
  /** Of the entry before; 64 zeros for the first. */
  previous_hash: sha256,
  hash: sha256,
})
export type AuditEntry = z.infer<typeof auditEntry>

/** Where the chain ended at a moment. Kept elsewhere, it says later whether anything up to there was changed or has gone. */
export const auditCheckpoint = z.object({
  seq: z.int().positive(),
  hash: sha256,
  /** HMAC-SHA-256 under a key that is derived from the vault's. */
  mac: sha256,
  key_id: z.string(),
})
export type AuditCheckpoint = z.infer<typeof auditCheckpoint>

/** What can be wrong with a chain, each in a sentence of its own in docs/reference/audit.md. */
export const auditProblems = [
  'changed',
  'missing',
  'reordered',
  'unlinked',
  'rewritten',
  'cut',
  'head_missing',
  'head_forged',
  'noted',
] as const
export type AuditProblem = (typeof auditProblems)[number]

export const auditVerification = z.object({
  verdict: z.enum(['whole', 'damaged']),
  /** How many were read. */
  entries: z.int().nonnegative(),
  /** The first of them; null: none. */
  from_seq: z.int().positive().nullable(),
  /** Where the chain ended when this began; null: there is no entry. */
  head: auditCheckpoint.nullable(),
  /** Was the end made with this controller's key? null: whoever looked does not have it. */
  head_is_genuine: z.boolean().nullable(),
  /** The first entry that is not as it was written, or is not there. */
  first_wrong: z.object({ seq: z.int().nonnegative(), problem: z.enum(auditProblems), found: z.string() }).nullable(),
})
export type AuditVerification = z.infer<typeof auditVerification>
