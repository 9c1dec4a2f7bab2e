import { AppError, type Scope } from '@anteroom/base'
import type { PoolStatus } from '@anteroom/contract'
import type { SnapshotFiles } from '../snapshots/snapshots.ts'
import { pausedMiB, reservedMiB } from './memory-plan.ts'
import type { Offer, PoolDeps } from './pool-deps.ts'
import { sessionCounts } from './pool-rows.ts'

export type Reason = NonNullable<PoolStatus['reason']>

/** What a waiting machine is made of: without a snapshot none can wait. */
export type Basis = Offer & { readonly snapshot: SnapshotFiles }

/** What waiting machines must be of now; the reason where there is nothing to make them of. */
export async function offered({ images, snapshots }: PoolDeps, scope: Scope): Promise<Basis | Reason> {
  try {
    const image = await images.current()
    const snapshot = await snapshots.of(image, scope)
    return snapshot ? { image, snapshot } : withoutSnapshot(snapshots.status())
  } catch (error) {
    scope.throwIfOver()
    return reasonOf(error)
  }
}

function withoutSnapshot(snapshot: PoolStatus['snapshot']): Reason {
  switch (snapshot.status) {
    case 'ready':
      return { code: null, detail: 'the golden snapshot has just changed' }
    case 'building':
      return {
        code: snapshot.code,
        detail: `${snapshot.code ? 'the golden snapshot is built anew' : 'there is no golden snapshot yet'}: ${snapshot.why}`,
      }
    case 'failed':
      return { code: snapshot.code, detail: snapshot.why }
    case 'off':
      return { code: null, detail: 'vmm.snapshots is off: machines boot' }
    default:
      return snapshot satisfies never
  }
}

/** What speaks against one more beside `machines` that the pool has; a `code` of null passes with the session that it names. */
export async function obstacle(deps: PoolDeps, machines: number): Promise<Reason | undefined> {
  const { config, slots } = deps
  const { starting, queued, running } = await sessionCounts(deps.store.db)
  if (starting > 0) return { code: null, detail: 'a session is starting' }
  // With every machine in use the queue waits for a session to end, and not for the processor.
  if (queued > 0 && running < config.limits.max_machines) return { code: null, detail: 'a session is queued' }
  if (running + machines >= slots.size)
    return { code: 'ip_pool_exhausted', detail: `all ${slots.size} addresses are held` }
  const { availableMemoryMiB: availableMiB } = await deps.measureHost()
  const reserved = reservedMiB(config, running)
  if (availableMiB >= reserved + pausedMiB) return undefined
  return {
    code: 'insufficient_memory',
    detail: `${availableMiB} MiB are free; sessions may take ${reserved} MiB, a waiting machine ${pausedMiB} MiB`,
  }
}

export function reasonOf(error: unknown): Reason {
  const { code, detail, message } = AppError.from(error)
  return { code, detail: detail ?? message }
}
