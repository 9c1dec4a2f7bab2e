import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { AppError } from '@anteroom/base'
import { backUpKey } from './vault/vault.ts'

/** Copies the vault's key to the file that is named, and writes down that it was done; the doctor asks for it. */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { home: { type: 'string' } }, allowPositionals: true })
  const home = resolve(values.home ?? process.env.ANTEROOM_HOME ?? '.anteroom')
  const { key_id, path } = await backUpKey(join(home, 'vault.key'), positionals[0] ?? '', Date.now())
  process.stdout.write(
    `Key ${key_id} was copied to ${path}. Keep it where only you can read it, and not on this disk.\n`,
  )
}

main().catch((error: unknown) => {
  const { code, message } = AppError.from(error)
  process.stderr.write(`anteroom: ${message} (${code})\n`)
  process.exitCode = 1
})
