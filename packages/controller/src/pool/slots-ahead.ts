import type { Scope } from '@anteroom/base'
import type { Slot, Slots } from '../host/host.ts'
import type { Leases } from '../leases/leases.ts'
import type { Store } from '../store/store.ts'

/** Network slots that are made before they are asked for, so that no session waits for some ten commands. */
export interface SlotsAhead {
  /** Made, whole when last seen, and not used by a machine yet. */
  readonly indices: ReadonlySet<number>
  /** As `Slots.prepare`; at once where it was made ahead. */
  prepare(slot: Slot, scope: Scope): Promise<void>
  /** As `Slots.remove`. */
  remove(slot: Slot, scope: Scope): Promise<void>
  /** Makes one of those that are wanted; false when there are enough. */
  refill(scope: Scope): Promise<boolean>
}

interface SlotsAheadDeps {
  readonly store: Store
  readonly slots: Slots
  readonly leases: Leases
  /** How many free ones to keep. */
  readonly wanted: number
}

/** Which ones are made ahead is known to this process alone: what an earlier one made is found complete, or swept. */
export function createSlotsAhead({ store, slots, leases, wanted }: SlotsAheadDeps): SlotsAhead {
  const made = new Set<number>()
  // Of a user slot there is nothing to make; whether its ports are free is looked at when they are needed.
  const enough = slots.kind === 'tap' ? wanted : 0

  return {
    indices: made,
    async prepare(slot, scope) {
      if (made.delete(slot.index) && (await slots.isThere(slot))) return
      await slots.prepare(slot, scope)
    },
    async remove(slot, scope) {
      made.delete(slot.index)
      await slots.remove(slot, scope)
    },
    async refill(scope) {
      const held = new Set((await leases.all(store.db)).map((lease) => lease.slot_index))
      if ([...made].filter((index) => !held.has(index)).length >= enough) return false
      const next = Array.from({ length: slots.size }, (_, index) => index).find((i) => !held.has(i) && !made.has(i))
      if (next === undefined) return false
      return await leases.whileFree(next, async () => {
        await slots.prepare(slots.at(next), scope)
        made.add(next)
      })
    },
  }
}
