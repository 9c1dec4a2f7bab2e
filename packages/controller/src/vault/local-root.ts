import { AppError, Secret } from '@anteroom/base'
import { deriveFrom, Envelope } from './envelope.ts'
import type { RootKey } from './key-file.ts'
import type { KeyProvider } from './key-provider.ts'

/** A provider whose root key is in this process: it wraps under a key that is derived from it. */
export function localRoot(kind: KeyProvider['kind'], where: string, root: RootKey): KeyProvider {
  const envelope = new Envelope(new Secret(deriveFrom(root.bytes, 'root 1')))
  return {
    kind,
    where,
    root,
    async wrap(key, keyId) {
      return { wrapped: envelope.wrap(key.expose(), ['key', keyId]), rootId: root.id }
    },
    async unwrap({ wrapped, rootId }, keyId) {
      if (rootId !== root.id)
        throw new AppError('vault_unavailable', {
          detail:
            `${where} holds key ${root.id}, but the database was encrypted with ${rootId}. ` +
            'Bring back the key that belongs to this database; to move to another one, name the old one as vault.previous_key.',
        })
      try {
        return new Secret(envelope.unwrap(wrapped, ['key', keyId]))
      } catch (cause) {
        throw new AppError('vault_unavailable', {
          detail: `the vault's key ${keyId} was changed or damaged in the database. Restore the database from your backup.`,
          cause,
        })
      }
    },
  }
}
