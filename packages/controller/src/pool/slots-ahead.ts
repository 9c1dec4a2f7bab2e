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
  /** Those that nobody holds: a controller that stops leaves nothing that is of no use to a machine. */
  removeAll(scope: Scope): Promise<void>
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

  const ahead: SlotsAhead = {
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
      for (let index = 0; index < slots.size; index++) {
        if (held.has(index) || made.has(index) || leases.isAvoided(index)) continue
        const isMade = await leases.whileFree(index, async () => {
          try {
            await slots.prepare(slots.at(index), scope)
            made.add(index)
          } catch (error) {
            // The next look goes on with the next one.
            leases.avoid(index)
            throw error
          }
        })
        // Else it was just taken, or is being swept.
        if (isMade) return true
      }
      return false
    },
    async removeAll(scope) {
      for (const index of made) await leases.whileFree(index, () => ahead.remove(slots.at(index), scope))
    },
  }
  return ahead
}
