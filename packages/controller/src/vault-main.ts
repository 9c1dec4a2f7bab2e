import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { AppError, Scope, systemClock } from '@anteroom/base'
import { loadConfig } from './load-config.ts'
import { lockHome } from './lock-home.ts'
import { createLog } from './observe/observe.ts'
import { openVaultAndAudit } from './open-vault-and-audit.ts'
import { runProgram } from './run-program.ts'
import { openStoreIn, openStoreToRead } from './store/store.ts'
import { backUpVault, newRootKeyLine, readLock, restoreVault, type Vault } from './vault/vault.ts'
import { vaultSettings } from './vault-settings.ts'

const scope = Scope.root('vault', createLog({ level: 'error', pretty: false, destination: process.stderr }))
const clock = systemClock

/** What an operator does with the vault besides its controller. Prints JSON, but for `new-key`, which prints the line itself. */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { home: { type: 'string' } }, allowPositionals: true })
  const home = resolve(values.home ?? process.env.ANTEROOM_HOME ?? '.anteroom')
  const [what = '', ...more] = positionals
  switch (what) {
    case 'new-key':
      process.stdout.write(newRootKeyLine())
      return
    case 'verify':
      // Beside whoever has it open: it reads, and takes its turn.
      return await withVault(home, false, async (vault) => print(await vault.verify(scope)))
    case 'accept':
      return await alone(home, () => withVault(home, true, async (vault) => print(await vault.verify(scope))))
    case 'backup':
      return await backUp(home, more)
    case 'restore':
      return await alone(home, () => restore(home, more))
    default:
      throw new AppError('config_invalid', { detail: `the command line: vault ${what}` })
  }
}

async function withVault(
  home: string,
  acceptPutBack: boolean,
  work: (vault: Vault) => Promise<void> | void,
): Promise<void> {
  const store = await openStoreIn(home)
  try {
    const parts = { store, clock, log: scope.log, scope, acceptPutBack }
    await work((await openVaultAndAudit(loadConfig(home, process.env), parts)).vault)
  } finally {
    await store.close()
  }
}

/** The vault is opened once as always, so that what an earlier version left is in the present form; then one state of it is read. */
async function backUp(home: string, words: readonly string[]): Promise<void> {
  const file = await fileOf(words)
  await withVault(home, false, () => {})
  const store = await openStoreToRead(join(home, 'anteroom.sqlite'))
  try {
    const counts = await backUpVault({ ...settingsOf(home), store, clock }, file, scope)
    print({ path: file.path, ...counts })
  } finally {
    await store.close()
  }
}

async function restore(home: string, words: readonly string[]): Promise<void> {
  const file = await fileOf(words)
  const store = await openStoreIn(home)
  try {
    const counts = await restoreVault({ ...settingsOf(home), store, clock }, file, scope)
    print({ path: file.path, ...counts })
  } finally {
    await store.close()
  }
}

const settingsOf = (home: string) => vaultSettings(loadConfig(home, process.env))

const fileOf = async ([path = '', lock = '']: readonly string[]) => ({
  path: resolve(path),
  lock: await readLock(resolve(lock)),
})

const print = (answer: object): void => void process.stdout.write(`${JSON.stringify(answer)}\n`)

/** With the state directory's lock: no controller may have it open. @throws AppError controller_locked */
async function alone(home: string, work: () => Promise<void>): Promise<void> {
  const lock = await lockHome(home)
  try {
    await work()
  } finally {
    lock.release()
  }
}

runProgram(main)
