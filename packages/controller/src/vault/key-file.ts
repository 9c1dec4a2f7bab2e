import { createHash, hkdfSync, randomBytes } from 'node:crypto'
import { link, open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError, newToken, Secret, systemErrorCode } from '@anteroom/base'

/** The root of everything the vault encrypts. One line of text: format, id, 32 bytes as base64url. */
export interface RootKey {
  readonly id: string
  readonly bytes: Secret<Buffer>
}

const format = 'anteroom-vault-key-1'
const line = new RegExp(`^${format} (vk_[0-9a-f]{16}) ([A-Za-z0-9_-]{43})\\n?$`)

/** Gives the key at `path`, undefined when there is no such file. @throws AppError vault_unavailable */
export async function readKeyFile(path: string): Promise<RootKey | undefined> {
  const text = await readPrivate(path)
  if (text === undefined) return undefined
  const key = parseRootKey(text)
  if (!key) throw refused(path, 'it is damaged or not a vault key. Restore it from your backup.')
  return key
}

/** The key that the line of text is; undefined when it is none, or has a wrong letter. */
export function parseRootKey(text: string): RootKey | undefined {
  const [, id, encoded] = line.exec(text) ?? []
  const bytes = Buffer.from(encoded ?? '', 'base64url')
  return id && bytes.length === 32 && keyId(bytes) === id ? { id, bytes: new Secret(bytes) } : undefined
}

/** A new root key, as the line of text that a key file holds. */
export function newRootKeyLine(): string {
  const bytes = randomBytes(32)
  return `${format} ${keyId(bytes)} ${bytes.toString('base64url')}\n`
}

/**
 * Makes a new key at `path`. The file appears whole or not at all; a key that another process made there meanwhile stays,
 * and is the one that is given.
 */
export async function makeKeyFile(path: string): Promise<RootKey> {
  const draft = `${path}.${newToken().slice(0, 8)}.new`
  try {
    const file = await open(draft, 'wx', 0o600)
    try {
      await file.writeFile(newRootKeyLine())
      await file.sync()
    } finally {
      await file.close()
    }
    await linkOnce(draft, path)
  } catch (error) {
    throw refused(path, 'it could not be written.', error)
  }
  const key = await readKeyFile(path)
  if (!key) throw refused(path, 'it disappeared while it was being made.')
  return key
}

/** link(2) fails where rename(2) would silently replace a key that another process has just made. */
async function linkOnce(draft: string, path: string): Promise<void> {
  try {
    await link(draft, path)
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error
  } finally {
    await unlink(draft)
  }
  const directory = await open(dirname(path))
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

async function readPrivate(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, 'r')
    try {
      const status = await file.stat()
      if ((status.mode & 0o077) !== 0)
        throw refused(
          path,
          `others may read it (mode ${(status.mode & 0o777).toString(8)}). Find out who did, then: chmod 600 ${path}`,
        )
      if (!status.isFile() || status.size > 1024) throw refused(path, 'it is not a vault key.')
      return await file.readFile('utf8')
    } finally {
      await file.close()
    }
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    if (error instanceof AppError) throw error
    throw refused(path, 'it could not be read.', error)
  }
}

/** The id follows from the key, so that a key with one wrong bit does not pass for the right one. */
const keyId = (bytes: Buffer): string =>
  `vk_${createHash('sha256')
    .update(Buffer.from(hkdfSync('sha256', bytes, '', 'anteroom vault key id', 32)))
    .digest('hex')
    .slice(0, 16)}`

const refused = (path: string, why: string, cause?: unknown): AppError =>
  new AppError('vault_unavailable', { detail: `The vault's key file ${path} is refused: ${why}`, cause })
