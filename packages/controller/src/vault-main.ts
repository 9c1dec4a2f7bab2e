import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { AppError, acquireLock, Scope, systemClock } from '@anteroom/base'
import { loadConfig } from './load-config.ts'
import { createLog } from './observe/observe.ts'
import { openVaultAndAudit } from './open-vault-and-audit.ts'
import { runProgram } from './run-program.ts'
import { openStoreIn } from './store/store.ts'
import { newRootKeyLine, type Vault, type VaultParts } from './vault/vault.ts'

const home = (given: string | undefined): string => resolve(given ?? process.env.ANTEROOM_HOME ?? '.anteroom')

/** What an operator does with the vault besides its controller. Prints JSON, but for `new-key`, which prints the line itself. */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { home: { type: 'string' } }, allowPositionals: true })
  const [what = ''] = positionals
  const scope = Scope.root('vault', createLog({ level: 'error', pretty: false, destination: process.stderr }))
  switch (what) {
    case 'new-key':
      process.stdout.write(newRootKeyLine())
      return
    case 'verify':
      // Beside whoever has it open: it reads, and takes its turn.
      return await print(home(values.home), {}, (vault) => vault.verify(scope), scope)
    case 'accept':
      return await alone(home(values.home), () =>
        print(home(values.home), { acceptPutBack: true }, (vault) => vault.verify(scope), scope),
      )
    default:
      throw new AppError('config_invalid', { detail: `the command line: vault ${what}` })
  }
}

async function print(
  directory: string,
  how: Partial<VaultParts>,
  work: (vault: Vault) => Promise<object>,
  scope: Scope,
): Promise<void> {
  const store = await openStoreIn(directory)
  try {
    const config = loadConfig(directory, process.env)
    const { vault } = await openVaultAndAudit(config, { store, clock: systemClock, log: scope.log, scope, ...how })
    process.stdout.write(`${JSON.stringify(await work(vault))}\n`)
  } finally {
    await store.close()
  }
}

/** With the state directory's lock: no controller may have it open. @throws AppError controller_locked */
async function alone(directory: string, work: () => Promise<void>): Promise<void> {
  const lock = acquireLock(resolve(directory, 'run/lock'))
  if (!('release' in lock))
    throw new AppError('controller_locked', { detail: `pid ${lock.heldBy ?? 'unknown'} uses ${directory}` })
  try {
    await work()
  } finally {
    lock.release()
  }
}

runProgram(main)
