import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, acquireLock, type LockFile, systemErrorCode } from '@anteroom/base'

/**
 * The lock of a state directory, which is made where there is none: whoever has it has the directory to themselves.
 * @throws AppError controller_locked, store_unavailable
 */
export async function lockHome(home: string): Promise<LockFile> {
  const runDirectory = join(home, 'run')
  let lock: ReturnType<typeof acquireLock>
  try {
    await mkdir(home, { recursive: true, mode: 0o700 })
    // Recursive, it would call a read-only file system a directory that is missing.
    await mkdir(runDirectory, { mode: 0o700 }).catch((error: unknown) => {
      if (systemErrorCode(error) !== 'EEXIST') throw error
    })
    lock = acquireLock(join(runDirectory, 'lock'))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new AppError('store_unavailable', { detail: `${home} cannot be written: ${why}`, cause: error })
  }
  if ('release' in lock) return lock
  throw new AppError('controller_locked', { detail: `pid ${lock.heldBy ?? 'unknown'} uses ${home}` })
}
