import { open, readFile, rename, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { AppError, parseJson } from '@anteroom/base'
import { z } from 'zod'
import { readKeyFile } from './key-file.ts'

const record = z.object({ key_id: z.string(), path: z.string(), at: z.iso.datetime() })
export type KeyBackup = z.infer<typeof record>

const recordOf = (keyFile: string): string => `${keyFile}.backup.json`

/**
 * Copies the key to `copy`, which must not be there, reads it again, and writes down that it was done.
 * @throws AppError vault_unavailable when there is no key, or the copy is not one
 */
export async function backUpKey(keyFile: string, copy: string, now: number): Promise<KeyBackup> {
  const key = await readKeyFile(keyFile)
  if (!key) throw new AppError('vault_unavailable', { detail: `there is no key file ${keyFile}` })
  const path = resolve(copy)
  try {
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(await readFile(keyFile))
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new AppError('vault_unavailable', { detail: `the key could not be copied: ${why}`, cause })
  }
  if ((await readKeyFile(path))?.id !== key.id)
    throw new AppError('vault_unavailable', { detail: `${path} does not hold the key that was written to it` })
  const backup = { key_id: key.id, path, at: new Date(now).toISOString() }
  await writeFile(`${recordOf(keyFile)}.new`, `${JSON.stringify(backup, null, 2)}\n`, { mode: 0o600 })
  await rename(`${recordOf(keyFile)}.new`, recordOf(keyFile))
  return backup
}

/** When and whereto this very key was copied; undefined when it was not. @throws AppError vault_unavailable */
export async function readKeyBackup(keyFile: string): Promise<KeyBackup | undefined> {
  const [key, text] = await Promise.all([readKeyFile(keyFile), readFile(recordOf(keyFile), 'utf8').catch(() => '{}')])
  const backup = record.safeParse(parseJson(text)).data
  return backup && backup.key_id === key?.id ? backup : undefined
}
