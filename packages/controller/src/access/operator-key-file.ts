import { open, rename, unlink, writeFile } from 'node:fs/promises'
import { AppError, newToken, systemErrorCode } from '@anteroom/base'

/** The key in the file; undefined when there is none, or when others may have read it. */
export async function readOperatorKey(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, 'r')
    try {
      const { mode, size } = await file.stat()
      if ((mode & 0o077) !== 0 || size > 1024) return undefined
      return (await file.readFile('utf8')).trim()
    } finally {
      await file.close()
    }
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw failed(path, error)
  }
}

/** Puts the key there, mode 0600, whole or not at all: a script may read the file at any moment. */
export async function writeOperatorKey(path: string, key: string): Promise<void> {
  const draft = `${path}.${newToken().slice(0, 8)}.new`
  try {
    await writeFile(draft, `${key}\n`, { mode: 0o600, flag: 'wx', flush: true })
    await rename(draft, path)
  } catch (error) {
    await unlink(draft).catch(() => {})
    throw failed(path, error)
  }
}

const failed = (path: string, cause: unknown): AppError =>
  new AppError('store_unavailable', { detail: `The operator key file ${path} cannot be read or written.`, cause })
