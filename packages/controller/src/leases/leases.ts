import { AppError, newId } from '@anteroom/base'
import type { Slot, Slots } from '../host/host.ts'
import type { Db, Row, Tx } from '../store/store.ts'

/** A machine's id and place on the network, held by one session until both are verified absent. */
export type Lease = Row<'machines'>

export interface LeaseRequest {
  readonly sessionId: string
  readonly imageId: string
  readonly accelerator: 'kvm' | 'tcg'
  readonly now: number
}

/** Who holds which slot. The unique index on the slot is what makes giving one twice impossible, across restarts too. */
export interface Leases {
  /** The lowest free slot. @throws AppError ip_pool_exhausted */
  take(tx: Tx, request: LeaseRequest): Promise<Lease>
  ofSession(db: Db, sessionId: string): Promise<Lease | undefined>
  all(db: Db): Promise<Lease[]>
  release(tx: Tx, machineId: string): Promise<void>
  slotOf(lease: Lease): Slot
}

export function createLeases(slots: Slots): Leases {
  return {
    async take(tx, { sessionId, imageId, accelerator, now }) {
      const held = new Set(
        (await tx.selectFrom('machines').select('slot_index').execute()).map((row) => row.slot_index),
      )
      const free = Array.from({ length: slots.size }, (_, index) => index).find((index) => !held.has(index))
      if (free === undefined)
        throw new AppError('ip_pool_exhausted', {
          detail: `all ${slots.size} addresses are held`,
          retryAfterSeconds: 30,
        })
      const slot = slots.at(free)
      return await tx
        .insertInto('machines')
        .values({
          id: newId('machine'),
          session_id: sessionId,
          image_id: imageId,
          slot_kind: slot.kind,
          slot_index: slot.index,
          vm_ip: slot.ip,
          accelerator,
          created_at: now,
        })
        .returningAll()
        .executeTakeFirstOrThrow()
    },
    ofSession: (db, sessionId) =>
      db.selectFrom('machines').selectAll().where('session_id', '=', sessionId).executeTakeFirst(),
    all: (db) => db.selectFrom('machines').selectAll().orderBy('created_at').execute(),
    async release(tx, machineId) {
      await tx.deleteFrom('machines').where('id', '=', machineId).execute()
    },
    slotOf: (lease) => slots.at(lease.slot_index),
  }
}
