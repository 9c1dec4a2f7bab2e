import { createConnection } from 'node:net'
import { AppError, CommandError, Scope } from '@anteroom/base'
import { requireFreePool } from './host-networks.ts'
import { ipCommand } from './ip-command.ts'
import { type Slot, type Slots, slotPorts } from './slot.ts'
import { tapNames } from './tap-names.ts'
import { tableName } from './tap-ruleset.ts'

interface Where {
  readonly tag: string
  readonly pool: string
}

/**
 * Do tap slots work on this host, for this user? Makes one that is not there yet, sees a connection of the host come through
 * to the guest's side of its rules, and removes it.
 * @throws AppError network_setup_failed saying what failed
 */
export async function measureTap(slots: Slots, { tag, pool }: Where, scope: Scope): Promise<void> {
  try {
    await scope.run({ name: 'measuring tap slots', deadlineMs: 15_000 }, async (inner) => {
      await requireFreePool(pool, tag, inner)
      const made = new Set(await slots.list(inner))
      const index = Array.from({ length: slots.size }, (_, i) => i).find((i) => !made.has(i))
      // All of them exist: they work, and there is none to try with.
      if (index === undefined) return
      const slot = slots.at(index)
      inner.defer(() => slots.remove(slot, Scope.root('removal of the measured slot', scope.log, scope.clock)))
      await slots.prepare(slot, inner)
      await seeConnectionPass(slot, tapNames(tag, index).namespace, inner)
    })
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    throw new AppError('network_setup_failed', { detail: error.message, cause: error })
  }
}

/** Nobody answers on the tap; that the request passed address translation and filter is read from its counter. */
async function seeConnectionPass(slot: Slot, namespace: string, scope: Scope): Promise<void> {
  const request = createConnection({ host: slot.ip, port: slotPorts[0] ?? 0 })
  request.on('error', () => {})
  scope.defer(() => void request.destroy())
  const counter = ['netns', 'exec', namespace, 'nft', 'list', 'counter', 'inet', tableName, 'asked']
  const seen = scope.run({ name: 'first packet through a tap slot', deadlineMs: 5_000 }, (inner) =>
    inner.until(async () => {
      const { stdout } = await ipCommand(inner, counter)
      return Number(/packets (\d+)/.exec(stdout)?.[1]) > 0 || undefined
    }, 5),
  )
  await seen.catch((error: unknown) => {
    throw new AppError('network_setup_failed', {
      detail: `a connection to ${slot.ip} did not reach the namespace ${namespace}; does this host's firewall drop it?`,
      cause: error,
    })
  })
}
