import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Scope } from '@anteroom/base'
import type { AgentLink } from '../agent/agent.ts'
import type { EgressRecord } from '../egress/egress.ts'
import type { Lease } from '../leases/leases.ts'
import type { MachineDriver } from '../machines/driver.ts'
import type { SessionRow } from './session-rows.ts'

export interface EvidenceSources {
  readonly session: SessionRow
  readonly lease: Lease
  readonly driver: Pick<MachineDriver, 'evidence'>
  /** null: it cannot tell anything. */
  readonly agent: Pick<AgentLink, 'log'> | null
  readonly records: readonly EgressRecord[]
  readonly home: string
}

/**
 * Keeps what tells why a session did not complete in `<home>/evidence/<session>/`, before its machine goes. Each source is
 * bounded by who gives it. Never fails: a teardown must not hang on its own record.
 */
export async function saveEvidence(sources: EvidenceSources, scope: Scope): Promise<void> {
  if (sources.session.outcome === 'completed') return
  try {
    const { console, vmm } = await sources.driver.evidence(sources.lease.id)
    const agent = await scope
      .run({ name: 'agent log', deadlineMs: 2_000 }, async (inner) => (await sources.agent?.log(inner)) ?? '')
      .catch(() => '')
    const directory = join(sources.home, 'evidence', sources.session.id)
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const files = {
      'console.log': console,
      'vmm.log': vmm,
      'agent.log': agent,
      'egress.json': JSON.stringify(sources.records, null, 2),
    }
    for (const [name, text] of Object.entries(files))
      if (text !== '') await writeFile(join(directory, name), text, { mode: 0o600 })
  } catch (error) {
    scope.log.warn({ session: sources.session.id, error }, 'evidence could not be kept')
  }
}
