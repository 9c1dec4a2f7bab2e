import { AppError, type Scope } from '@anteroom/base'
import { agentPort, claimPort, rfbPort } from '@anteroom/contract'

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
  /** A glance, without running a command: does what `prepare` made still stand? */
  isThere(slot: Slot): Promise<boolean>
  /** Resolves when nothing of the slot is left on the host; also when there never was. */
  remove(slot: Slot, scope: Scope): Promise<void>
  /** Indices of this controller's slots that exist on the host, complete or not. */
  list(scope: Scope): Promise<number[]>
}

/** The guest's ports that its slot leads to; there are no others. */
export const slotPorts: readonly number[] = [agentPort, claimPort, rfbPort]

/** The guest's network is the same in each machine, so that nothing in it changes when it is restored. */
export const guestIp = '172.16.0.2'
export const guestPeerIp = '172.16.0.1'

/** As many machines as `limits.max_machines` allows. */
const mostSlots = 1_000
/** Users that monitors run as. Debian Policy, section 9.2.2: 30000–59999 are reserved and given to no account. */
export const vmmUids = { first: 58_000, last: 58_000 + mostSlots - 1 } as const

/** `count` slots, bounded. @throws AppError config_invalid when the pool has room for none */
export function slotTable(kind: SlotKind, pool: string, count: number, ipOf: (index: number) => string) {
  const size = Math.min(count, mostSlots)
  if (size < 1) throw new AppError('config_invalid', { detail: `the pool ${pool} has no room for a ${kind} slot` })
  const isRoot = process.geteuid?.() === 0
  const at = (index: number): Slot => {
    if (!Number.isInteger(index) || index < 0 || index >= size)
      throw new AppError('internal', { detail: `there is no ${kind} slot ${index} in ${pool}` })
    // One user for each machine: a guest that takes over its monitor finds no process of another machine's user.
    return { kind, index, ip: ipOf(index), vmmUid: isRoot ? vmmUids.first + index : null }
  }
  return { size, at }
}
