/** Looks at everything that a session needs, before a session does. One file a check. */
import { AppError, type Scope } from '@anteroom/base'
import { type DoctorCheck, type DoctorReport, errorDefinitions, type Verdict, verdicts } from '@anteroom/contract'
import type { Check, Finding, Opened, Patient } from './check.ts'
import { acceleration } from './checks/acceleration.ts'
import { addresses } from './checks/addresses.ts'
import { audit } from './checks/audit.ts'
import { certificate } from './checks/certificate.ts'
import { clock } from './checks/clock.ts'
import { disk } from './checks/disk.ts'
import { evidence } from './checks/evidence.ts'
import { files } from './checks/files.ts'
import { firewall } from './checks/firewall.ts'
import { image } from './checks/image.ts'
import { integrity } from './checks/integrity.ts'
import { leftovers } from './checks/leftovers.ts'
import { load } from './checks/load.ts'
import { log } from './checks/log.ts'
import { memory } from './checks/memory.ts'
import { network } from './checks/network.ts'
import { port } from './checks/port.ts'
import { snapshot } from './checks/snapshot.ts'
import { store } from './checks/store.ts'
import { vaultEntries } from './checks/vault-entries.ts'
import { vaultKey } from './checks/vault-key.ts'
import { vmm } from './checks/vmm.ts'
import { vmmLimits } from './checks/vmm-limits.ts'

export type { Opened, Patient } from './check.ts'

const checks: readonly Check[] = [
  ...[vmm, vmmLimits, acceleration, image, snapshot, network, firewall, addresses, memory, load],
  ...[disk, clock, store, integrity, audit, vaultKey, vaultEntries, port, certificate, evidence],
  ...[log, files, leftovers],
]

/** A check that hangs says so, and does not keep the others' answers back. */
const checkMs = 2_500

/** All checks at once. With `fix` it repairs what can be repaired without harm, and looks again. */
export async function examine(patient: Patient, scope: Scope, { fix = false } = {}): Promise<DoctorReport> {
  const results = await Promise.all(checks.map((check) => run(check, patient, scope, fix)))
  return {
    at: new Date(patient.clock.now()).toISOString(),
    verdict: worst(results.map(({ verdict }) => verdict)),
    checks: results,
  }
}

const worst = (found: readonly Verdict[]): Verdict => verdicts.findLast((verdict) => found.includes(verdict)) ?? 'ok'

async function run(check: Check, patient: Patient, scope: Scope, fix: boolean): Promise<DoctorCheck> {
  const startedAt = patient.clock.monotonic()
  let finding = await ask(check, patient, scope)
  let fixed: string | null = null
  if (fix && finding.fix) {
    fixed = await finding.fix(scope)
    finding = await ask(check, patient, scope)
  }
  const { verdict, found, remedy = null } = finding
  return {
    name: check.name,
    verdict,
    found,
    remedy,
    fixed,
    duration_ms: Math.round(patient.clock.monotonic() - startedAt),
  }
}

async function ask(check: Check, patient: Patient, scope: Scope): Promise<Finding> {
  try {
    return await scope.run({ name: `check ${check.name}`, deadlineMs: checkMs }, (inner) =>
      check.examine(patient, inner),
    )
  } catch (error) {
    scope.throwIfOver()
    const { code, message } = AppError.from(error)
    return { verdict: 'failed', found: message, remedy: errorDefinitions[code].hint }
  }
}

/** `open`'s value, or its AppError as one. */
export const opened = async <T>(open: () => Promise<T>): Promise<Opened<T>> =>
  await open().catch((error: unknown) => AppError.from(error))
