import { join } from 'node:path'
import { readKeyBackup } from '../../vault/vault.ts'
import { type Check, ok, warning } from '../check.ts'
import { required } from '../required.ts'

/** Is the key there, is it this database's, and is there a copy of it elsewhere? */
export const vaultKey: Check = {
  name: 'vault_key',
  async examine({ config, vault }) {
    required(vault)
    const { key } = config.vault
    if (key.provider === 'environment') return ok(`what ${key.variable} holds opens what is stored`)
    if (key.provider === 'command') return ok(`what ${key.command[0]} holds opens what is stored`)
    const keyFile = key.path ?? join(config.home, 'vault.key')
    const backup = await readKeyBackup(keyFile)
    if (backup) return ok(`it opens what is stored; copied on ${backup.at.slice(0, 10)} to ${backup.path}`)
    return warning(
      'it opens what is stored, and nobody has copied it: when this file is lost, so are all credentials',
      'Copy it to a place that is not on this host’s disk: npm run anteroom -- backup-key <file>',
    )
  },
}
