import { join } from 'node:path'
import type { Clock, Log } from '@anteroom/base'
import { type Audit, createAudit } from './audit/audit.ts'
import type { Store } from './store/store.ts'
import { openVault, type Vault } from './vault/vault.ts'

/** Under which the end of the audit is signed. */
export const auditKey = (vault: Pick<Vault, 'deriveKey'>): Buffer => vault.deriveKey('audit')

/**
 * Each needs the other: the vault writes down who reads a credential, and the end of the audit is signed with a key that is derived
 * from the vault's.
 * @throws AppError vault_unavailable
 */
export async function openVaultAndAudit(
  home: string,
  parts: { readonly store: Store; readonly clock: Clock; readonly log: Log },
): Promise<{ vault: Vault; audit: Audit }> {
  const audit = createAudit({ ...parts, keyOf: () => auditKey(vault) })
  const vault = await openVault({ ...parts, keyFile: join(home, 'vault.key'), audit })
  return { vault, audit }
}
