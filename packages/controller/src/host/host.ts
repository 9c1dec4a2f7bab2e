/** The only code that touches the kernel's network: slots, addresses; and what the host has left. */
import type { Scope } from '@anteroom/base'
import type { Config } from '../config.ts'
import { createFirewall, type Firewall, type FirewallParts } from './firewall.ts'
import { instanceTag } from './instance-tag.ts'
import { measureTap } from './measure-tap.ts'
import type { Slots } from './slot.ts'
import { openTapSlots } from './tap-slots.ts'
import { openUserSlots } from './user-slots.ts'

export { type Firewall, type FirewallState, removeFirewall } from './firewall.ts'
export { requireFreePool } from './host-networks.ts'
export { instanceTag } from './instance-tag.ts'
export { type HostMeasurement, measureHost } from './measure-host.ts'
export { availableMemoryMiB, totalMemoryMiB } from './memory.ts'
export { missingForFirewall, missingForTaps } from './missing-for-taps.ts'
export { type Slot, type SlotKind, type Slots, slotPorts } from './slot.ts'
export { tapNames } from './tap-names.ts'

/**
 * The slots of the configured kind; `auto` is `tap` where a tap slot was seen to work just now.
 * @throws AppError network_setup_failed when `tap` is demanded and does not work, config_invalid
 */
export async function openSlots(config: Pick<Config, 'network' | 'home'>, scope: Scope): Promise<Slots> {
  const tag = instanceTag(config.home)
  const user = openUserSlots({ tag, pool: config.network.user_pool })
  const tap = openTapSlots({ tag, pool: config.network.pool })
  if (config.network.kind !== 'user') {
    try {
      await measureTap(tap, { tag, pool: config.network.pool }, scope)
      return tap
    } catch (error) {
      if (config.network.kind === 'tap') throw error
      scope.throwIfOver()
      const reason = error instanceof Error ? error.message : String(error)
      scope.log.info({ reason }, 'tap slots do not work here; machines get user-mode networking')
    }
  }
  await removeLeftovers(tap, scope)
  return user
}

/** What guards the ports of the machines on `slots`, against everybody on this host but this process's user. */
export function openFirewall(
  { network, home }: Pick<Config, 'network' | 'home'>,
  { kind }: Pick<Slots, 'kind'>,
  parts: Pick<FirewallParts, 'log' | 'onRestored'>,
): Firewall {
  const pool = kind === 'tap' ? network.pool : network.user_pool
  return createFirewall({ ...parts, tag: instanceTag(home), kind, pool, uid: process.geteuid?.() ?? 0 })
}

/** Slots that an earlier start made as another kind; nobody asks for them any more. Without `ip` there never were any. */
async function removeLeftovers(tap: Slots, scope: Scope): Promise<void> {
  for (const index of await tap.list(scope).catch(() => [])) {
    scope.log.warn({ slot: index }, 'removing a tap slot of an earlier start')
    await tap.remove(tap.at(index), scope)
  }
}
