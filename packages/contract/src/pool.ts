import { z } from 'zod'
import { errorCode } from './errors.ts'
import { snapshotId } from './ids.ts'
import { queueReasons } from './session.ts'

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

/** How many machines of sessions this host takes, from what was measured just now. */
export const capacity = z.object({
  /** At the most at a time: `limits.max_machines`, or fewer where the host's memory is smaller. */
  max_machines: z.int(),
  /** Sessions that have one. */
  running: z.int(),
  /** That many more could start now. */
  more: z.int(),
  /** Why there are not more; `code`: what a session that waits for one has as its reason. */
  bound_by: z.object({ code: z.enum(queueReasons), detail: z.string() }),
  /** Sessions that wait for one, and how many may. */
  queued: z.int(),
  max_queued: z.int(),
})
export type Capacity = z.infer<typeof capacity>
