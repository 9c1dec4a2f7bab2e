import { generateKeyPairSync } from 'node:crypto'
import { chmod, copyFile, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Scope, Secret, systemClock } from '@anteroom/base'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readCredential } from '../../test/read-credential.ts'
import { readLock } from './backup-file.ts'
import { TestVault } from './test-vault.fixture.ts'
import { backUpVault, restoreVault } from './vault-backup.ts'

const scope = Scope.root('test')
const words = 'correct horse battery staple'
const passphrase = { passphrase: new Secret(words) }
type Lock = Parameters<typeof backUpVault>[1]['lock']

/** A key takes no time; a passphrase takes its time each time, as it should. */
function newKeys() {
  const { publicKey, privateKey } = generateKeyPairSync('x25519')
  const halves = [publicKey, privateKey].map((key) => key.export({ format: 'jwk' }))
  const [half, whole] = halves.map((key) => ({ key: new Secret(key) }) as unknown as Lock)
  if (!half || !whole) throw new Error('no keys')
  return { half, whole, texts: halves.map((key) => JSON.stringify(key)) }
}
const keys = newKeys()
const recipient: Lock = keys.half
const lock: Lock = keys.whole
let world: TestVault
let other: TestVault
let path: string
beforeEach(async () => {
  world = await TestVault.open()
  other = await TestVault.open()
  path = join(world.home, 'backup')
})
afterEach(async () => {
  await world.close()
  await other.close()
})

const partsOf = ({ store, keyFile }: TestVault) => ({
  ...{ store, keyFile, clock: systemClock, env: {}, previousKey: undefined },
  key: { provider: 'file' as const },
})
const backUp = (to: Lock = recipient) => backUpVault(partsOf(world), { path, lock: to }, scope)
const restore = (from: Lock = lock) => restoreVault(partsOf(other), { path, lock: from }, scope)

test('another state directory, under another root key, has what the first one had, and goes on with it', async () => {
  const ids = await Promise.all(Array.from({ length: 12 }, (_, n) => world.keep(`token ${n}`)))
  const [first = '', second = ''] = ids
  await world.store.db.insertInto('projects').values({ id: 'prj_b', name: 'b', created_at: 1 }).execute()
  await world.store.db.updateTable('connections').set({ project_id: 'prj_b' }).where('id', '=', first).execute()
  await world.keep('token 0, again', first)
  await world.vault.rotation.request()
  const rotating = Scope.root('rotation')
  const running = world.vault.run(rotating)
  await rotating.until(
    async () => ((await world.vault.rotation.newest())?.status === 'completed' ? true : undefined),
    5,
  )
  rotating.cancel()
  await running
  expect(await backUp()).toEqual({ projects: 2, connections: 12, credentials: 13 })
  // A session that is open there while it is restored goes on.
  const waiting = await other.newSession()
  await other.store.db.deleteFrom('connections').execute()
  const sealingKey = await other.vault.sealingKey(waiting.id)
  const derived = other.vault.deriveKey('a machine')

  expect(await restore()).toEqual({ projects: 2, connections: 12, credentials: 13 })
  await other.reopen()
  expect(await other.vault.verify(scope)).toMatchObject({ entries: 13, opened: 13, unreadable: [], put_back: null })
  expect((await readCredential(other.vault, first)).value).toMatchObject({ access_token: 'token 0, again' })
  expect(await other.store.db.selectFrom('projects').select('name').orderBy('name').execute()).toEqual([
    { name: 'b' },
    { name: 'default' },
  ])
  expect(await readCredential(other.vault, second)).toEqual(await readCredential(world.vault, second))
  expect(await other.vault.sealingKey(waiting.id)).toEqual(sealingKey)
  expect(other.vault.deriveKey('a machine')).toEqual(derived)
  await other.keep('token 1, again', second)
  expect(await readCredential(other.vault, second)).toMatchObject({ version: 2 })
  await other.reopen()
  const rootOf = (home: TestVault) => readFile(home.keyFile, 'utf8')
  expect(await rootOf(other)).not.toBe(await rootOf(world))
})

test('the file is its owner’s alone, says nothing of what is in it, and is never written over', async () => {
  const id = await world.keep('canary-in-backup')
  await backUp()
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  const bytes = await readFile(path)
  const rows = await world.store.db.selectFrom('credentials').selectAll().execute()
  for (const text of ['canary', id, rows[0]?.wrapped_key ?? '', 'wk_']) expect(bytes.includes(text)).toBe(false)
  await expect(backUp()).rejects.toMatchObject({ code: 'config_invalid', detail: expect.stringContaining('already') })
  expect(await readFile(path)).toEqual(bytes)
})

test('a passphrase locks and opens, and no other; each half of a key does its own part only', async () => {
  const id = await world.keep('token')
  await backUp(passphrase)
  const wrong: Lock[] = [{ passphrase: new Secret('another passphrase') }, recipient, lock]
  for (const from of wrong) await expect(restore(from)).rejects.toMatchObject({ code: 'vault_unavailable' })
  await restore(passphrase)
  await other.reopen()
  expect((await readCredential(other.vault, id)).value).toMatchObject({ access_token: 'token' })
})

describe('what cannot be restored leaves everything as it was', () => {
  let before: unknown
  const stateOf = async ({ store: { db } }: TestVault) => ({
    connections: await db.selectFrom('connections').selectAll().execute(),
    credentials: await db.selectFrom('credentials').selectAll().execute(),
    keys: await db.selectFrom('wrapping_keys').selectAll().orderBy('id').execute(),
    state: await db.selectFrom('vault_state').selectAll().execute(),
  })
  beforeEach(async () => {
    for (let n = 0; n < 40; n++) await world.keep(`token ${n} ${'x'.repeat(4000)}`)
    await backUp()
    before = await stateOf(other)
  })
  const stays = async (from: Lock = lock) => {
    await expect(restore(from)).rejects.toMatchObject({
      code: 'vault_unavailable',
      detail: expect.stringContaining('nothing was changed'),
    })
    expect(await stateOf(other)).toEqual(before)
    await other.reopen()
    await other.keep('it works')
  }

  test('half of the key', () => stays(recipient))
  test('another key', () => stays(newKeys().whole))
  test('no file', async () => {
    path = join(world.home, 'nothing')
    await stays()
  })
  test('a file that is no backup', async () => {
    await writeFile(path, 'hello\n'.repeat(1000))
    await stays()
  })
  test.each([2, 16, 70_000, 150_000])('a file that lacks its last %i bytes', async (bytes) => {
    await truncate(path, (await stat(path)).size - bytes)
    await stays()
  })
  test.each([0.1, 0.5, 0.99])('a file with one bit changed at %d of it', async (place) => {
    const content = await readFile(path)
    const at = Math.floor(content.length * place)
    content[at] = (content[at] ?? 0) ^ 1
    await writeFile(path, content)
    await stays()
  })
  test('a directory that has connections', async () => {
    const id = await other.keep('here already')
    before = await stateOf(other)
    await expect(restore()).rejects.toMatchObject({
      code: 'vault_unavailable',
      detail: expect.stringContaining('has connections'),
    })
    expect(await stateOf(other)).toEqual(before)
    expect((await readCredential(other.vault, id)).version).toBe(1)
  })
  test('a vault in which an entry was changed: it is not brought in as if it were whole', async () => {
    await world.store.db.updateTable('credentials').set({ ciphertext: 'AAAA' }).execute()
    await copyFile(path, `${path}.old`)
    path = `${path}.changed`
    await backUp()
    await stays()
  })
})

test('a lock is a key or a passphrase that is long enough and nobody else’s', async () => {
  const file = join(world.home, 'lock')
  await writeFile(file, 'short\n', { mode: 0o600 })
  await expect(readLock(file)).rejects.toMatchObject({
    code: 'config_invalid',
    detail: expect.stringContaining('16 letters'),
  })
  await writeFile(file, `${words}\nand more\n`)
  expect((await readLock(file)) as typeof passphrase).toSatisfy((read) => read.passphrase.expose() === words)
  await writeFile(file, keys.texts[1] ?? '')
  expect(await readLock(file)).toHaveProperty('key')
  await chmod(file, 0o644)
  await expect(readLock(file)).rejects.toMatchObject({
    code: 'config_invalid',
    detail: expect.stringContaining('chmod'),
  })
  // Of the public half nobody need be kept from reading.
  await writeFile(file, keys.texts[0] ?? '')
  expect(await readLock(file)).toHaveProperty('key')
})
