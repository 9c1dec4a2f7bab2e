import { AppError, type Scope, type Secret } from '@anteroom/base'
import type { Config } from '../config.ts'
import { commandKeyProvider } from './command-key-provider.ts'
import { environmentKeyProvider } from './environment-key-provider.ts'
import { fileKeyProvider } from './file-key-provider.ts'
import type { RootKey } from './key-file.ts'

export type KeyProviderSettings = Config['vault']['key']

/** One of the vault's keys, as it may lie in the database. */
export interface WrappedByRoot {
  readonly wrapped: string
  /** Which root wrapped it, for people: an id of ours, or whatever a key service calls its keys. */
  readonly rootId: string
}

/**
 * The seam to whatever holds the root key: it wraps and unwraps the vault's own keys, and is asked for nothing else. Whoever has no
 * provider for a database reads none of its credentials.
 */
export interface KeyProvider {
  readonly kind: KeyProviderSettings['provider']
  /** What holds the root key, for messages. */
  readonly where: string
  /** Where it is in this process: what a database was encrypted with before the vault had keys of its own. */
  readonly root?: RootKey
  /** @throws AppError vault_unavailable, deadline_exceeded */
  wrap(key: Secret<Buffer>, keyId: string, scope: Scope): Promise<WrappedByRoot>
  /** Gives back what was wrapped with the same id. @throws AppError vault_unavailable, deadline_exceeded */
  unwrap(wrapped: WrappedByRoot, keyId: string, scope: Scope): Promise<Secret<Buffer>>
}

export interface KeyProviderParts {
  readonly settings: KeyProviderSettings
  /** Where the key lies that belongs to the state directory, when nothing else is said. */
  readonly keyFile: string
  readonly env: NodeJS.ProcessEnv
  /** Nothing has been encrypted yet: a key that is not there may be made, where there is a place for it. */
  readonly mayCreate: boolean
}

/** @throws AppError vault_unavailable when there is no root key, or it is no use */
export async function openKeyProvider({ settings, keyFile, env, mayCreate }: KeyProviderParts): Promise<KeyProvider> {
  switch (settings.provider) {
    case 'file':
      return await fileKeyProvider(settings.path ?? keyFile, mayCreate)
    case 'environment':
      return environmentKeyProvider(settings.variable, env)
    case 'command':
      return commandKeyProvider(settings)
    default:
      throw new AppError('config_invalid', { detail: `vault.key.provider: ${String(settings satisfies never)}` })
  }
}
