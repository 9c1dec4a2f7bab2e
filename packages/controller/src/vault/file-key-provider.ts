import { AppError } from '@anteroom/base'
import { makeKeyFile, readKeyFile } from './key-file.ts'
import type { KeyProvider } from './key-provider.ts'
import { localRoot } from './local-root.ts'

/** The root key in a file that only its owner may read. @throws AppError vault_unavailable */
export async function fileKeyProvider(path: string, mayCreate: boolean): Promise<KeyProvider> {
  const root = (await readKeyFile(path)) ?? (mayCreate ? await makeKeyFile(path) : undefined)
  if (!root)
    throw new AppError('vault_unavailable', {
      detail:
        `The vault's key file ${path} is missing, and the database holds what only its key opens. ` +
        'Restore the file from your backup; without it nobody can read those credentials again.',
    })
  return localRoot('file', `The key file ${path}`, root)
}
