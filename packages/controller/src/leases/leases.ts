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
  /**
   * Another free slot for a machine that is not made yet; undefined where there is none. The one that it had could not be made: it is
   * avoided from now on.
   */
  moveOn(lease: Lease): Promise<Lease | undefined>
  /** This slot could not be made: it is given again only when no other is free, which is a new chance. */
  avoid(index: number): void
  isAvoided(index: number): boolean
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
  /** Slots that could not be made, the one that was tried last at the end. */
  const avoided = new Set<number>()

  async function heldIn(tx: Tx): Promise<Set<number>> {
    return new Set((await tx.selectFrom('machines').select('slot_index').execute()).map((row) => row.slot_index))
  }

  async function freeIn(tx: Tx): Promise<number[]> {
    const held = await heldIn(tx)
    return Array.from({ length: slots.size }, (_, index) => index).filter(
      (index) => !held.has(index) && !withheld.has(index),
    )
  }

  const all = (db: Db): Promise<Lease[]> => db.selectFrom('machines').selectAll().orderBy('created_at').execute()

  function avoid(index: number): void {
    avoided.delete(index)
    avoided.add(index)
  }

  return {
    async take(tx, { sessionId, imageId, snapshotId, accelerator, now, preferred }) {
      const free = await freeIn(tx)
      const good = free.filter((index) => !avoided.has(index))
      const chosen =
        good.find((index) => preferred.has(index)) ?? good[0] ?? [...avoided].find((index) => free.includes(index))
      if (chosen === undefined)
        throw new AppError('ip_pool_exhausted', {
          detail: `all ${slots.size} addresses are held, ${holdersText(await all(tx))}`,
          retryAfterSeconds: 30,
        })
      avoided.delete(chosen)
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
    avoid,
    isAvoided: (index) => avoided.has(index),
    async moveOn(lease) {
      avoid(lease.slot_index)
      return await store.transaction(async (tx) => {
        const next = (await freeIn(tx)).find((index) => !avoided.has(index))
        if (next === undefined) return undefined
        return await tx
          .updateTable('machines')
          .set({ slot_index: next, vm_ip: slots.at(next).ip })
          .where('id', '=', lease.id)
          .returningAll()
          .executeTakeFirst()
      })
    },
    ofSession: (db, sessionId) =>
      db.selectFrom('machines').selectAll().where('session_id', '=', sessionId).executeTakeFirst(),
    all,
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

/** More are not read by anybody; `GET /v1/machines` has them all. */
const mostNamed = 8

/** Who holds the addresses, the oldest first. */
function holdersText(leases: readonly Lease[]): string {
  const named = leases.slice(0, mostNamed).map((lease) => `${lease.vm_ip} by ${lease.session_id ?? 'the warm pool'}`)
  const more = leases.length - named.length
  return named.join(', ') + (more > 0 ? ` and ${more} more` : '')
}
