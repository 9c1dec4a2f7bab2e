import { z } from 'zod'
import { imageId, machineId, sessionId, snapshotId } from './ids.ts'

export const machineStates = ['absent', 'booting', 'paused', 'running', 'unknown'] as const
export type MachineState = (typeof machineStates)[number]

/** How a machine came to run: woken from the warm pool, restored from the golden snapshot, or booted from the golden image. */
export const machineOrigins = ['warm', 'restored', 'booted'] as const
export type MachineOrigin = (typeof machineOrigins)[number]

export const machine = z.object({
  id: machineId,
  /** null: waits in the warm pool. */
  session_id: sessionId.nullable(),
  image_id: imageId,
  /** The saved machine that it was restored from; null: it boots. */
  snapshot_id: snapshotId.nullable(),
  /** null: it has not run yet. */
  origin: z.enum(machineOrigins).nullable(),
  vm_ip: z.string(),
  slot_kind: z.enum(['tap', 'user']),
  accelerator: z.enum(['kvm', 'tcg']),
  created_at: z.iso.datetime(),
  /** Since when it could be taken from the warm pool; null: it could not. */
  ready_at: z.iso.datetime().nullable(),
})
export type Machine = z.infer<typeof machine>
