import { z } from 'zod'
import { errorCode } from './errors.ts'
import { snapshotId } from './ids.ts'

export const snapshotStatus = z.discriminatedUnion('status', [
  /** Machines are restored from it. */
  z.object({ status: z.literal('ready'), id: snapshotId }),
  /** Machines boot meanwhile. `code`: what is wrong with the one that is replaced; null where there was none. */
  z.object({ status: z.literal('building'), code: errorCode.nullable(), why: z.string() }),
  z.object({ status: z.literal('failed'), code: errorCode, why: z.string() }),
  /** Machines always boot. */
  z.object({ status: z.literal('off') }),
])
export type SnapshotStatus = z.infer<typeof snapshotStatus>

/** The warm pool: restored machines that wait, paused, for a session. */
export const poolStatus = z.object({
  size: z.union([z.literal('auto'), z.int()]),
  floor: z.int(),
  ceiling: z.int(),
  /** By demand, between floor and ceiling. */
  wanted: z.int(),
  /** May be taken at once. */
  ready: z.int(),
  /** Being made or taken down. */
  filling: z.int(),
  /** Why fewer are ready than wanted; `code` where it is a fault. */
  reason: z.object({ code: errorCode.nullable(), detail: z.string() }).nullable(),
  snapshot: snapshotStatus,
})
export type PoolStatus = z.infer<typeof poolStatus>
