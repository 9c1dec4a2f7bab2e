import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { AppError } from '@anteroom/base'
import { loadConfig } from './load-config.ts'
import { runProgram } from './run-program.ts'
import { backUpKey } from './vault/vault.ts'

/** Copies the vault's key to the file that is named, and writes down that it was done; the doctor asks for it. */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { home: { type: 'string' } }, allowPositionals: true })
  const home = resolve(values.home ?? process.env.ANTEROOM_HOME ?? '.anteroom')
  const { key } = loadConfig(home, process.env).vault
  if (key.provider !== 'file')
    throw new AppError('config_invalid', {
      detail: `vault.key.provider is ${key.provider}: there is no key file to copy; what holds the root key must keep it`,
    })
  const keyFile = key.path ?? join(home, 'vault.key')
  const { key_id, path } = await backUpKey(keyFile, positionals[0] ?? '', Date.now())
  process.stdout.write(
    `Key ${key_id} was copied to ${path}. Keep it where only you can read it, and not on this disk.\n`,
  )
}

runProgram(main)
