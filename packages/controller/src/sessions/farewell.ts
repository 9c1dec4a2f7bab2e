import type { Scope } from '@anteroom/base'
import type { Lease } from '../leases/leases.ts'
import { saveEvidence } from './evidence.ts'
import type { SessionDeps } from './session-deps.ts'
import type { SessionRow, SessionRows } from './session-rows.ts'

const wipeMs = 3_000

interface Farewell {
  readonly session: SessionRow
  readonly lease: Lease
  readonly deps: SessionDeps
  readonly rows: SessionRows
}

/**
 * The last that is asked of a machine: what its agent knows of a session that did not complete, and to wipe. Whoever cannot answer
 * is not asked, so that nobody waits for it; one that runs and is silent is.
 */
export async function takeLeave({ session, lease, deps, rows }: Farewell, scope: Scope): Promise<void> {
  const { driver, egress, config } = deps
  const agent = deps.agentOf(lease)
  const state = await driver.inspect(lease.id, scope).catch(() => 'unknown' as const)
  scope.throwIfOver()
  const runs = state !== 'absent' && state !== 'paused'
  // Before the claim its agent has said nothing yet and knows nothing of the session, so that there is nothing to wipe.
  const mayBeClaimed = runs && (await rows.hasBegun(session.id, 'claim'))
  const mayTell = mayBeClaimed || (runs && session.outcome === 'failed')
  const records = egress.records(lease.id)
  await saveEvidence({ session, lease, driver, agent: mayTell ? agent : null, records, home: config.home }, scope)
  // The machine's memory goes with its process; wiping first is for what might still read it until then.
  if (mayBeClaimed) await scope.run({ name: 'wipe', deadlineMs: wipeMs }, (inner) => agent.wipe(inner)).catch(() => {})
}
