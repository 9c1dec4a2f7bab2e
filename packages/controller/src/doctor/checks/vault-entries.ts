import { AppError, type Scope } from '@anteroom/base'
import type { VaultReport } from '../../vault/vault.ts'
import { type Check, failed, ok, type Patient, warning } from '../check.ts'
import { required } from '../required.ts'

/** Thousands open in this time; of more than that the doctor says so, and `vault verify` has all the time it needs. */
const openMs = 1_000
/** So much longer than a rotation takes that something keeps it from its end. */
const rotationMs = 3_600_000

type OpenVault = Exclude<Patient['vault'], AppError>

/** Does everything open that the vault keeps, and is it as the vault left it? */
export const vaultEntries: Check = {
  name: 'vault_entries',
  async examine({ vault: opened, clock }, scope) {
    const vault = required(opened)
    const report = await openAll(vault, scope)
    if (report?.put_back)
      return failed(
        report.put_back,
        'Somebody wrote into the database. Bring the newest backup back, or take it as it is: npm run anteroom -- vault accept',
      )
    if (report && report.opened < report.entries)
      return failed(
        `${report.entries - report.opened} of ${report.entries} credentials do not open: ${report.unreadable[0]?.why}`,
        'npm run anteroom -- vault verify names them. Restore them from a backup, or delete their connections and ask those people to sign in again.',
      )
    const rotation = await vault.rotation.newest()
    if (rotation?.status === 'running' && clock.now() - Date.parse(rotation.requested_at) > rotationMs)
      return warning(
        `the wrapping key has been under rotation since ${rotation.requested_at}: ${rotation.done} of ${rotation.total}`,
        'The log says why it waits, and it is tried again; until it is over the old key still opens what is stored.',
      )
    if (!report)
      return ok('more credentials than can be opened in a second: npm run anteroom -- vault verify opens all')
    return ok(report.entries === 0 ? 'nothing is stored yet' : `all ${report.entries} credentials open`)
  },
}

/** undefined: there was no time for all of them. */
async function openAll(vault: OpenVault, scope: Scope): Promise<VaultReport | undefined> {
  try {
    return await scope.run({ name: 'open every credential', deadlineMs: openMs }, (inner) => vault.verify(inner))
  } catch (error) {
    scope.throwIfOver()
    if (error instanceof AppError && error.code === 'deadline_exceeded') return undefined
    throw error
  }
}
