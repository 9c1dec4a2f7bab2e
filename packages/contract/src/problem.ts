import { z } from 'zod'
import { errorCode } from './errors.ts'

/** RFC 9457 problem details. */
export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    code: errorCode,
    detail: z.string().optional(),
    /** JSON pointers (RFC 6901) into the body, or names of parameters, each with what is wrong there. */
    fields: z.array(z.object({ pointer: z.string(), message: z.string() })).optional(),
    hint: z.string(),
    request_id: z.string(),
  })
  .meta({ id: 'Problem' })
export type Problem = z.infer<typeof problem>
