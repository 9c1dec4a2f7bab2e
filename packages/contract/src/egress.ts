import { z } from 'zod'
import { sessionId } from './ids.ts'

/** `refused`: by the provider's definition or by the address; `unreachable`: allowed, and there was no connection. */
export const egressResults = ['connected', 'refused', 'unreachable'] as const
export type EgressResult = (typeof egressResults)[number]

/** What a machine asked of one host and port. Names and counts only: no paths, no contents. */
export const egressHost = z.object({
  /** null: hosts beyond the first few hundred, counted together. */
  host: z.string().nullable(),
  port: z.number().int().nullable(),
  result: z.enum(egressResults),
  /** Why it was refused or unreachable the last time; null: it was connected. */
  reason: z.string().nullable(),
  /** How often it was asked for. */
  connections: z.number().int().nonnegative(),
  /** From the machine. */
  bytes_up: z.number().int().nonnegative(),
  /** To the machine. */
  bytes_down: z.number().int().nonnegative(),
  first_at: z.iso.datetime(),
  last_at: z.iso.datetime(),
})
export type EgressHost = z.infer<typeof egressHost>

/** Where the machine of a session went, or wanted to go; in the order in which it first did. */
export const sessionEgress = z.object({ session_id: sessionId, hosts: z.array(egressHost) })
export type SessionEgress = z.infer<typeof sessionEgress>
