import { connectionId, keyId, projectId, sessionId, viewerId } from '@anteroom/contract'
import { z } from 'zod'

export const sessionParams = z.strictObject({ id: sessionId })
export const viewerParams = z.strictObject({ id: sessionId, viewer_id: viewerId })
export const connectionParams = z.strictObject({ id: connectionId })
export const projectParams = z.strictObject({ id: projectId })
export const keyParams = z.strictObject({ id: keyId })

/** Body of an action that takes nothing. */
export const noBody = z.strictObject({})

/** The answer without a body. */
export const noContent = z.undefined().describe('Done')

/** The same key with the same request gives the same answer; with another request, `idempotency_conflict`. */
export const idempotencyHeaders = z.looseObject({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, 'must be 1 to 200 printable characters without spaces')
    .exactOptional(),
})

export const idempotencyKeyOf = (headers: z.infer<typeof idempotencyHeaders>): { idempotencyKey?: string } => {
  const idempotencyKey = headers['idempotency-key']
  return idempotencyKey === undefined ? {} : { idempotencyKey }
}

export const page = {
  cursor: z.string().min(1).max(500).exactOptional(),
  limit: z.coerce.number().int().min(1).max(100).default(50),
}

export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), next_cursor: z.string().nullable() })
