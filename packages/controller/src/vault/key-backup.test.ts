import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeKeyFile } from './key-file.ts'
import { backUpKey, readKeyBackup } from './vault.ts'

let directory: string
let keyFile: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anteroom-key-'))
  keyFile = join(directory, 'vault.key')
})
afterEach(() => rm(directory, { recursive: true }))

test('a copy is the same key, for its owner alone, and it is known that there is one', async () => {
  const { id } = await makeKeyFile(keyFile)
  expect(await readKeyBackup(keyFile)).toBeUndefined()
  const copy = join(directory, 'copy')
  const now = Date.parse('2026-01-02T03:04:05Z')
  const backup = { key_id: id, path: copy, at: '2026-01-02T03:04:05.000Z' }
  expect(await backUpKey(keyFile, copy, now)).toEqual(backup)
  expect(await readFile(copy, 'utf8')).toBe(await readFile(keyFile, 'utf8'))
  expect((await stat(copy)).mode & 0o777).toBe(0o600)
  expect(await readKeyBackup(keyFile)).toEqual(backup)
})

test('a copy of an earlier key is no copy of this one', async () => {
  await makeKeyFile(keyFile)
  await backUpKey(keyFile, join(directory, 'copy'), 0)
  await rm(keyFile)
  await makeKeyFile(keyFile)
  expect(await readKeyBackup(keyFile)).toBeUndefined()
})

test('nothing is overwritten, and nothing is said to be copied that was not', async () => {
  await makeKeyFile(keyFile)
  const mine = join(directory, 'mine')
  await writeFile(mine, 'something else')
  await expect(backUpKey(keyFile, mine, 0)).rejects.toMatchObject({ code: 'vault_unavailable' })
  expect(await readFile(mine, 'utf8')).toBe('something else')
  await expect(backUpKey(keyFile, join(directory, 'no/such/place'), 0)).rejects.toMatchObject({
    code: 'vault_unavailable',
  })
  expect(await readKeyBackup(keyFile)).toBeUndefined()
})

test('without a key there is nothing to copy', async () => {
  await expect(backUpKey(keyFile, join(directory, 'copy'), 0)).rejects.toMatchObject({ code: 'vault_unavailable' })
})
