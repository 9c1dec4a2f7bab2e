import type { Scope } from '@anteroom/base'
import type { Session } from '@anteroom/contract'
import type { AgentLink } from '../agent/agent.ts'
import type { EvidenceTexts } from '../evidence/evidence.ts'
import type { Lease } from '../leases/leases.ts'
import type { SessionDeps } from './session-deps.ts'
import type { FoundEvidence } from './session-log.ts'
import type { SessionRow, SessionRows } from './session-rows.ts'

const wipeMs = 3_000
const agentLogMs = 2_000

interface Farewell {
  readonly session: SessionRow
  readonly lease: Lease
  readonly deps: SessionDeps
  readonly rows: SessionRows
}

/**
 * The last that is asked of a machine: what tells later why its session ended as it did, and to wipe. Whoever cannot answer is not
 * asked, so that nobody waits for it; one that runs and is silent is.
 */
export async function takeLeave({ session, lease, deps, rows }: Farewell, scope: Scope): Promise<void> {
  const agent = deps.agentOf(lease)
  const state = await deps.driver.inspect(lease.id, scope).catch(() => 'unknown' as const)
  scope.throwIfOver()
  const runs = state !== 'absent' && state !== 'paused'
  // Before the claim its agent has said nothing yet and knows nothing of the session, so that there is nothing to wipe.
  const mayBeClaimed = runs && (await rows.hasBegun(session.id, 'claim'))
  const mayTell = mayBeClaimed || (runs && session.outcome === 'failed')
  // Never fails: a teardown must not hang on its own record.
  await gather(deps, { machine: lease.id, session: session.id }, mayTell ? agent : null, scope)
    .then(async (texts) =>
      deps.evidence.keep(session.id, { ...texts, timeline: await timelineOf(deps, rows, session) }),
    )
    .catch((error: unknown) => scope.log.warn({ machine: lease.id, error }, 'evidence could not be kept'))
  // The machine's memory goes with its process; wiping first is for what might still read it until then.
  if (mayBeClaimed) await scope.run({ name: 'wipe', deadlineMs: wipeMs }, (inner) => agent.wipe(inner)).catch(() => {})
  // Whoever was given up meanwhile is not the one who goes on: another teardown may be through already, and the slot another's.
  scope.throwIfOver()
}

/** What the database says of it too, so that what is kept can be read, or sent to somebody, without one. */
async function timelineOf({ store }: SessionDeps, rows: SessionRows, session: SessionRow): Promise<string> {
  const { id, provider, browser_vm_id, image_id, machine_origin, outcome, failure, created_at, stages } =
    await rows.resource(store.db, session)
  const code = failure?.code ?? null
  const shown = { id, provider, browser_vm_id, image_id, machine_origin, outcome, code, created_at, stages }
  return JSON.stringify(shown, null, 2)
}

/** Of a session whose machine is gone what was kept; of another what its machine tells now. */
export async function evidenceOf(
  deps: SessionDeps,
  session: Pick<Session, 'id'>,
  scope: Scope,
): Promise<FoundEvidence> {
  const lease = await deps.leases.ofSession(deps.store.db, session.id)
  const kept = await deps.evidence.read(session.id)
  if (!lease || Object.keys(kept).length > 0)
    return { texts: kept, fileOf: (kind) => deps.evidence.fileOf(session.id, kind) }
  return {
    texts: await gather(deps, { machine: lease.id, session: session.id }, deps.agentOf(lease), scope),
    fileOf: () => null,
  }
}

/** Each source is bounded by who gives it. `agent` null: it cannot tell anything. */
async function gather(
  { driver, egress, leases, store, measureHost, clock }: SessionDeps,
  { machine, session }: { readonly machine: string; readonly session: string },
  agent: Pick<AgentLink, 'log'> | null,
  scope: Scope,
): Promise<EvidenceTexts> {
  const [{ console, vmm }, log, hosts, host, held] = await Promise.all([
    driver.evidence(machine),
    agent === null
      ? ''
      : scope.run({ name: 'agent log', deadlineMs: agentLogMs }, (inner) => agent.log(inner)).catch(() => ''),
    // Of its own account: what else there is does not depend on the database.
    egress.hostsOf(session).catch(() => []),
    measureHost(),
    leases.all(store.db),
  ])
  return {
    ...{ console, vmm, agent: log },
    egress: JSON.stringify(hosts, null, 2),
    host: JSON.stringify({ at: new Date(clock.now()).toISOString(), machines: held.length, ...host }, null, 2),
  }
}
