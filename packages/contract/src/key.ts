import { z } from 'zod'
import { keyScope } from './access.ts'
import { keyId, projectId } from './ids.ts'

/** An API key, for people to tell them apart; never the secret. */
export const apiKey = z.object({
  id: keyId,
  name: z.string(),
  /** null: it sees every project. */
  project_id: projectId.nullable(),
  scopes: z.array(keyScope),
  status: z.enum(['active', 'expired', 'revoked']),
  /** It is the operator's, in `$ANTEROOM_HOME/operator.key`: the API cannot change it. */
  in_file: z.boolean(),
  created_at: z.iso.datetime(),
  /** null: it does not expire. */
  expires_at: z.iso.datetime().nullable(),
  revoked_at: z.iso.datetime().nullable(),
  rotated_at: z.iso.datetime().nullable(),
  /** Until then the secret before the last rotation opens as well; null: it does not. */
  previous_expires_at: z.iso.datetime().nullable(),
  /** To the minute; null: never. */
  last_used_at: z.iso.datetime().nullable(),
})
export type ApiKey = z.infer<typeof apiKey>

/** The one answer that holds the secret. */
export const apiKeyWithSecret = apiKey.extend({
  /** `ark_…`, to be sent as `Authorization: Bearer`. */
  secret: z.string(),
})
export type ApiKeyWithSecret = z.infer<typeof apiKeyWithSecret>

/** Printable, no control characters. */
export const printableName = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, 'must not contain control characters')

const minuteSeconds = 60
const daySeconds = 86_400

/** Ten years: longer is for ever, which is said by leaving it out. */
const lifeSeconds = z
  .number()
  .int()
  .min(minuteSeconds)
  .max(3650 * daySeconds)

export const createKey = z.strictObject({
  name: printableName,
  /** Left out: the default project; for a key with the scope `operator`, which sees them all, none can be named. */
  project_id: projectId.optional(),
  scopes: z.array(keyScope).min(1).max(20),
  /** Left out: it does not expire. */
  expires_in_seconds: lifeSeconds.optional(),
})
export type CreateKey = z.infer<typeof createKey>

export const rotateKey = z.strictObject({
  /** For how long the secret that is replaced opens as well. 0: not at all, for one that others have seen. */
  overlap_seconds: z
    .number()
    .int()
    .min(0)
    .max(7 * daySeconds)
    .default(3600),
  /** From now; left out: the key ends when it would have. */
  expires_in_seconds: lifeSeconds.optional(),
})
export type RotateKey = z.infer<typeof rotateKey>
