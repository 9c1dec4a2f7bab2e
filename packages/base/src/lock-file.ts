import { readFileSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { systemErrorCode } from './app-error.ts'

export interface LockFile {
  release(): void
}

/**
 * An exclusive lock that ends with its process, however that ends: SQLite holds it as a POSIX record lock, so there is nothing
 * stale to reclaim (https://www.sqlite.org/lockingv3.html). undefined and the holder's pid when another process has it.
 */
export function acquireLock(path: string): LockFile | { readonly heldBy: number | undefined } {
  const pidFile = `${path}.pid`
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    database.exec('pragma journal_mode = memory; begin exclusive')
  } catch (error) {
    database.close()
    if (systemErrorCode(error) !== 'ERR_SQLITE_ERROR' || !/locked|busy/i.test(String(error))) throw error
    return { heldBy: readPid(pidFile) }
  }
  writeFileSync(pidFile, String(process.pid))
  return { release: () => database.close() }
}

function readPid(path: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(path, 'utf8'), 10) || undefined
  } catch {
    return undefined
  }
}
