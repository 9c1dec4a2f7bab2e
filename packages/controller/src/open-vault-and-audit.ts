import type { Log } from '@anteroom/base'
import { type Audit, createAudit } from './audit/audit.ts'
import type { Config } from './config.ts'
import { openVault, type Vault, type VaultParts } from './vault/vault.ts'
import { vaultSettings } from './vault-settings.ts'

/** Under which the end of the audit is signed. */
export const auditKey = (vault: Pick<Vault, 'deriveKey'>): Buffer => vault.deriveKey('audit')

/**
 * Each needs the other: the vault writes down who reads a credential, and the end of the audit is signed with a key that is derived
 * from the vault's.
 * @throws AppError vault_unavailable
 */
export async function openVaultAndAudit(
  config: Pick<Config, 'home'> & Partial<Pick<Config, 'vault'>>,
  parts: Omit<VaultParts, 'keyFile' | 'key' | 'previousKey' | 'audit'> & { readonly log: Log },
): Promise<{ vault: Vault; audit: Audit }> {
  const audit = createAudit({ ...parts, keyOf: () => auditKey(vault) })
  const vault = await openVault({ ...parts, ...vaultSettings(config), audit })
  return { vault, audit }
}
