import type { Scope } from '@anteroom/base'
import type { Lease } from '../leases/leases.ts'
import { lastWords } from '../machines/machines.ts'
import type { PoolDeps } from './pool-deps.ts'

/**
 * What is left by a machine that died before a session had it, or could not be made: it is about to go, and no session will ask for
 * it. Gives its last words and where the rest is, for the log; never fails.
 */
export async function keepEvidence(
  { driver, evidence, leases, store, measureHost, clock }: PoolDeps,
  lease: Lease,
  scope: Scope,
): Promise<{ readonly evidence: string; readonly kept: string | null }> {
  const left = await driver.evidence(lease.id).catch(() => ({ console: '', vmm: '' }))
  try {
    const { id, image_id, snapshot_id, created_at, ready_at } = lease
    const at = new Date(clock.now()).toISOString()
    const time = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())
    const timeline = { id, image_id, snapshot_id, created_at: time(created_at), ready_at: time(ready_at), ended_at: at }
    const [host, held] = await Promise.all([measureHost(), leases.all(store.db)])
    await evidence.keep(id, {
      ...left,
      host: JSON.stringify({ at, machines: held.length, ...host }, null, 2),
      timeline: JSON.stringify(timeline, null, 2),
    })
    return { evidence: lastWords(left), kept: evidence.fileOf(id, 'console') }
  } catch (error) {
    scope.log.warn({ machine: lease.id, error }, 'evidence could not be kept')
    return { evidence: lastWords(left), kept: null }
  }
}
