import { z } from 'zod'
import { evidenceKinds } from './diagnosis.ts'
import { machineId, sessionId } from './ids.ts'

/** Where a line comes from: the controller's log, the session's events, the agent in its machine. */
export const logSources = ['controller', 'event', 'agent'] as const

export const sessionLogLine = z.object({
  at: z.iso.datetime(),
  source: z.enum(logSources),
  level: z.enum(['debug', 'info', 'warn', 'error']),
  message: z.string(),
  /** What else the line says: `machine`, `request`, `code` and so on. */
  fields: z.record(z.string(), z.unknown()),
})
export type SessionLogLine = z.infer<typeof sessionLogLine>

/** All that was written about a session and its machines. */
export const sessionLog = z.object({
  session_id: sessionId,
  machine_ids: z.array(machineId),
  /** By time. */
  lines: z.array(sessionLogLine),
  /** So many before them, when there are too many to give. */
  left_out: z.number().int().nonnegative(),
  /** What its machine left, whose lines have no time of day. */
  texts: z.array(
    z.object({
      kind: z.enum(evidenceKinds),
      /** On the host; null: the machine still runs. */
      file: z.string().nullable(),
      text: z.string(),
    }),
  ),
})
export type SessionLog = z.infer<typeof sessionLog>
