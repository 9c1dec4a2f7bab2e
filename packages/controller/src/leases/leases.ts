import { AppError, newId } from '@anteroom/base'
import type { Slot, Slots } from '../host/host.ts'
import type { Db, Row, Store, Tx } from '../store/store.ts'

export { findUnheld, type Unheld } from './unheld.ts'

/** A machine's id and place on the network, held by one session, or by the warm pool, until both are verified absent. */
export type Lease = Row<'machines'>

export interface LeaseRequest {
  /** null: for the warm pool. */
  readonly sessionId: string | null
  readonly imageId: string
  readonly snapshotId: string | null
  readonly accelerator: 'kvm' | 'tcg'
  readonly now: number
  /** Slots to give first, where they are free. */
  readonly preferred: ReadonlySet<number>
}

/** Who holds which slot. The unique index on the slot is what makes giving one twice impossible, across restarts too. */
export interface Leases {
  /** The lowest free slot, of the preferred ones if one is free. @throws AppError ip_pool_exhausted */
  take(tx: Tx, request: LeaseRequest): Promise<Lease>
  ofSession(db: Db, sessionId: string): Promise<Lease | undefined>
  all(db: Db): Promise<Lease[]>
  release(tx: Tx, machineId: string): Promise<void>
  slotOf(lease: Lease): Slot
  /** Is it on a slot that this controller makes? Kind and addresses may have been configured otherwise before. */
  isPlaced(lease: Lease): boolean
  /** Runs `work` while nobody can take the slot; gives false, without running it, when somebody holds it. */
  whileFree(index: number, work: () => Promise<void>): Promise<boolean>
}

export interface LeasesDeps {
  readonly store: Pick<Store, 'transaction'>
  readonly slots: Slots
}

export function createLeases({ store, slots }: LeasesDeps): Leases {
  /** Slots that `whileFree` works on. One process has the state directory: memory is enough. */
  const withheld = new Set<number>()

  async function heldIn(tx: Tx): Promise<Set<number>> {
    return new Set((await tx.selectFrom('machines').select('slot_index').execute()).map((row) => row.slot_index))
  }

  return {
    async take(tx, { sessionId, imageId, snapshotId, accelerator, now, preferred }) {
      const held = await heldIn(tx)
      const free = Array.from({ length: slots.size }, (_, index) => index).filter(
        (index) => !held.has(index) && !withheld.has(index),
      )
      const chosen = free.find((index) => preferred.has(index)) ?? free[0]
      if (chosen === undefined)
        throw new AppError('ip_pool_exhausted', {
          detail: `all ${slots.size} addresses are held`,
          retryAfterSeconds: 30,
        })
      const slot = slots.at(chosen)
      return await tx
        .insertInto('machines')
        .values({
          id: newId('machine'),
          session_id: sessionId,
          image_id: imageId,
          snapshot_id: snapshotId,
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
    isPlaced: ({ slot_kind, slot_index, vm_ip }) =>
      slot_kind === slots.kind && slot_index < slots.size && slots.at(slot_index).ip === vm_ip,
    async whileFree(index, work) {
      const isMine = await store.transaction(async (tx) => {
        if (withheld.has(index) || (await heldIn(tx)).has(index)) return false
        withheld.add(index)
        return true
      })
      if (!isMine) return false
      try {
        await work()
        return true
      } finally {
        withheld.delete(index)
      }
    },
  }
}
