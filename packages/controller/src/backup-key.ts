import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { runProgram } from './run-program.ts'
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

runProgram(main)
