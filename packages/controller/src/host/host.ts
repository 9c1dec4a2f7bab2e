/** The only code that touches the kernel: network slots, processes, paths. */
import type { Scope } from '@anteroom/base'

export type SlotKind = 'tap' | 'user'

/** A machine's place on the network. What it consists of follows from kind and index alone. */
export interface Slot {
  readonly kind: SlotKind
  readonly index: number
  /** The machine's address on this host: agent at port 7000, RFB at port 5900. */
  readonly ip: string
  /** Numeric user and group that the VMM runs as; null: as the controller's own user (not root). */
  readonly vmmUid: number | null
}

export interface Slots {
  readonly kind: SlotKind
  /** Number of slots; indices run from 0 to size - 1. */
  readonly size: number
  at(index: number): Slot
  /** Makes the slot on the host, or finds it complete. @throws AppError network_setup_failed */
  prepare(slot: Slot, scope: Scope): Promise<void>
  /** Resolves when nothing of the slot is left on the host; also when there never was. */
  remove(slot: Slot, scope: Scope): Promise<void>
  /** Indices of this controller's slots that exist on the host, complete or not. */
  list(scope: Scope): Promise<number[]>
}
