import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { access } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { AppError, silentLog, systemClock } from '@anteroom/base'
import { exportOf, type Place, verifyExport, verifyStored } from './audit/audit.ts'
import { loadConfig } from './load-config.ts'
import { auditKey, openVaultAndAudit } from './open-vault-and-audit.ts'
import { runProgram } from './run-program.ts'
import { openStoreToRead, type Store } from './store/store.ts'

/**
 * The audit where no controller runs, from its files alone: `verify` prints a verification as JSON, of the database or of the export
 * that is named; `export` writes one. Nothing is written to the database.
 */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { home: { type: 'string' }, checkpoint: { type: 'string' }, 'after-seq': { type: 'string' } },
    allowPositionals: true,
  })
  const home = resolve(values.home ?? process.env.ANTEROOM_HOME ?? '.anteroom')
  const [action, file] = positionals
  const [seq, hash = ''] = values.checkpoint?.split(':') ?? []
  const kept: Place[] = seq === undefined ? [] : [{ seq: Number(seq), hash }]
  const afterSeq = Number(values['after-seq'] ?? 0)
  if (action === 'verify' && file !== undefined) {
    const key = await keyOf(home)
    const lines = createInterface({ input: await openToRead(file), crlfDelay: Number.POSITIVE_INFINITY })
    return print(await verifyExport(lines, key, kept))
  }
  await using store = await readOnly(home)
  if (action === 'verify') return print(await verifyStored(store.db, await keyOf(home), { afterSeq, kept }))
  const out = createWriteStream(file ?? '', { flags: 'wx', mode: 0o600 })
  await pipeline(Readable.from(exportOf(store.db, afterSeq)), out)
}

/** Whoever would write is refused. */
async function readOnly(home: string): Promise<Store & AsyncDisposable> {
  const store = await openStoreToRead(join(home, 'anteroom.sqlite'))
  return {
    ...store,
    transaction: () => Promise.reject(new AppError('store_unavailable', { detail: 'it is open to be read only' })),
    emptyLog: async () => false,
    [Symbol.asyncDispose]: () => store.close(),
  }
}

/** undefined: it is not there, or does not open; then nobody here can tell whether the end of the chain is genuine. */
async function keyOf(home: string): Promise<Buffer | undefined> {
  try {
    const config = loadConfig(home, process.env)
    // Opening makes a key file where there is none.
    const { key } = config.vault
    if (key.provider === 'file') await access(key.path ?? join(home, 'vault.key'))
    await using store = await readOnly(home)
    const { vault } = await openVaultAndAudit(config, {
      store,
      clock: systemClock,
      log: silentLog,
    })
    return auditKey(vault)
  } catch {
    return undefined
  }
}

const print = (verification: object): void => void process.stdout.write(`${JSON.stringify(verification)}\n`)

async function openToRead(file: string) {
  const stream = createReadStream(file)
  try {
    await once(stream, 'open')
    return stream
  } catch (cause) {
    throw new AppError('not_found', { detail: `${file} cannot be read`, cause })
  }
}

runProgram(main)
