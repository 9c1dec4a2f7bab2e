import type { Credential } from '@anteroom/contract'
import type { Vault } from '../src/vault/vault.ts'

/** What the vault gives of a connection, as whoever asks the API reads it. */
export async function readCredential(vault: Pick<Vault, 'read'>, connectionId: string): Promise<Credential> {
  const bytes = (await vault.read(connectionId)).expose()
  return JSON.parse(bytes.toString('utf8'))
}
