import { join } from 'node:path'
import type { Config } from './config.ts'
import type { VaultParts } from './vault/vault.ts'

/** What the configuration says of the vault, as the vault takes it; what it does not say is as it is by default. */
export const vaultSettings = ({
  home,
  vault,
}: Pick<Config, 'home'> & Partial<Pick<Config, 'vault'>>): Pick<VaultParts, 'keyFile' | 'key' | 'previousKey'> => ({
  keyFile: join(home, 'vault.key'),
  ...(vault && { key: vault.key, previousKey: vault.previous_key }),
})
