import { AppError } from '@anteroom/base'
import { parseRootKey } from './key-file.ts'
import type { KeyProvider } from './key-provider.ts'
import { localRoot } from './local-root.ts'

/**
 * The root key in a variable of the environment, as one line like that of a key file. It is taken out of `env`: the programs that
 * this one starts inherit that. What the kernel shows to the same user as /proc/<pid>/environ cannot be taken back.
 * @throws AppError vault_unavailable
 */
export function environmentKeyProvider(variable: string, env: NodeJS.ProcessEnv): KeyProvider {
  const text = env[variable] ?? taken.get(variable)
  if (text === undefined)
    throw new AppError('vault_unavailable', {
      detail:
        `vault.key says that the root key is in the environment, and ${variable} is not set. ` +
        'Set it to the line of a key file: npm run anteroom -- vault new-key',
    })
  const root = parseRootKey(text)
  if (!root)
    throw new AppError('vault_unavailable', {
      detail: `What ${variable} holds is no root key: it must be one line as in a key file. Make one: npm run anteroom -- vault new-key`,
    })
  if (env === process.env) {
    taken.set(variable, text)
    delete env[variable]
  }
  return localRoot('environment', `The variable ${variable}`, root)
}

/** What this process has taken out of its environment: the same is opened more than once. */
const taken = new Map<string, string>()
