import { hkdfSync, randomBytes } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { newId, Scope, Secret, systemClock } from '@anteroom/base'
import { defaultProjectId } from '@anteroom/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readCredential } from '../../test/read-credential.ts'
import { sampleTokens } from '../../test/sample-credential.ts'
import { testAudit } from '../../test/test-audit.ts'
import { deriveFrom, Envelope } from './envelope.ts'
import { newRootKeyLine, parseRootKey, readKeyFile } from './key-file.ts'
import type { KeyProviderSettings } from './key-provider.ts'
import { TestVault } from './test-vault.fixture.ts'
import { openVault } from './vault.ts'

const program = join(import.meta.dirname, '../../test/key-command/key-command.ts')
const unavailable = { code: 'vault_unavailable' }
let world: TestVault
beforeEach(async () => {
  world = await TestVault.open()
})
afterEach(() => world.close())

const commandOf = async (name: string): Promise<KeyProviderSettings> => {
  const root = join(world.home, name)
  await writeFile(root, randomBytes(32).toString('hex'))
  return { provider: 'command', command: [process.execPath, program, root], timeout_seconds: 10 }
}

describe('a database of before wrapping keys', () => {
  let connection: string
  let root: Secret<Buffer>
  /** As the earlier version wrote it. */
  beforeEach(async () => {
    const { db } = world.store
    for (const table of ['wrapping_keys', 'vault_state', 'sealing_keys'] as const) await db.deleteFrom(table).execute()
    await rm(join(world.home, 'vault.mark'), { force: true })
    const key = await readKeyFile(world.keyFile)
    if (!key) throw new Error('no key file')
    root = key.bytes
    const envelope = new Envelope(new Secret(deriveFrom(root, 'wrapping key 1')))
    connection = newId('connection')
    const rows = [1, 2].map((version) => {
      const entry = { id: newId('credential'), connection_id: connection, version, session_id: newId('session') }
      const value = { ...sampleTokens, access_token: `token ${version}` }
      const about = { session_id: entry.session_id, provider: 'demo', captured_at: '2026-01-01T00:00:00.000Z' }
      const binding = ['credential', entry.id, version, connection, entry.session_id]
      const { ciphertext, wrappedKey } = envelope.seal(Buffer.from(JSON.stringify({ ...about, value })), binding)
      return { ...entry, ciphertext, wrapped_key: wrappedKey, wrapping_key_id: key.id, captured_at: 1 }
    })
    const connectionRow = {
      id: connection,
      project_id: defaultProjectId,
      provider: 'demo',
      subject: 'alice',
      version: 2,
      created_at: 1,
      updated_at: 1,
    }
    await db.insertInto('connections').values(connectionRow).execute()
    await db.insertInto('credentials').values(rows).execute()
  })

  test('is read at once, keeps what is derived, and is encrypted anew with owners', async () => {
    const vault = await world.reopen()
    expect(await readCredential(vault, connection)).toMatchObject({ version: 2, value: { access_token: 'token 2' } })
    // What machines that run were given by the earlier version.
    const derived = Buffer.from(hkdfSync('sha256', root.expose(), '', 'anteroom vault derived: agent of x', 32))
    expect(vault.deriveKey('agent of x')).toEqual(derived)
    const scope = Scope.root('test')
    const running = vault.run(scope)
    const old = () => world.store.db.selectFrom('credentials').select('id').where('format', '=', 1).executeTakeFirst()
    await scope.until(async () => ((await old()) ? undefined : true), 5)
    scope.cancel()
    await running
    expect(await vault.verify(Scope.root('test'))).toMatchObject({ entries: 2, opened: 2, put_back: null })
    await world.reopen()
    expect(await readCredential(world.vault, connection)).toMatchObject({ version: 2 })
    await world.keep('token 3', connection)
    expect(await readCredential(world.vault, connection)).toMatchObject({ version: 3 })
  })

  test('is refused with another key, and without one', async () => {
    await writeFile(world.keyFile, newRootKeyLine())
    await expect(world.reopen()).rejects.toMatchObject({ ...unavailable, detail: expect.stringContaining('vk_') })
    await rm(world.keyFile)
    await expect(world.reopen()).rejects.toMatchObject({ ...unavailable, detail: expect.stringContaining('missing') })
  })

  test('moves to a command at once, when the key file is named as the previous one', async () => {
    const key = await commandOf('root')
    await expect(world.reopen({ key })).rejects.toMatchObject({
      ...unavailable,
      detail: expect.stringContaining('vault.previous_key'),
    })
    await world.reopen({ key, previousKey: { provider: 'file' } })
    await rm(world.keyFile)
    await world.reopen({ key })
    expect(await readCredential(world.vault, connection)).toMatchObject({ value: { access_token: 'token 2' } })
  })
})

describe('another provider takes over', () => {
  let connection: string
  beforeEach(async () => {
    connection = await world.keep('token')
  })
  const read = async () => (await readCredential(world.vault, connection)).value

  test('file → environment → command → another command → file: always with both once, then alone', async () => {
    const line = newRootKeyLine()
    const env = { ROOT: line }
    const stations: KeyProviderSettings[] = [
      { provider: 'environment', variable: 'ROOT' },
      await commandOf('one'),
      await commandOf('two'),
      { provider: 'file', path: join(world.home, 'new.key') },
    ]
    await writeFile(join(world.home, 'new.key'), newRootKeyLine(), { mode: 0o600 })
    const derived = world.vault.deriveKey('x')
    let previousKey: KeyProviderSettings = { provider: 'file' }
    for (const key of stations) {
      await expect(world.reopen({ key, env })).rejects.toMatchObject(unavailable)
      await world.reopen({ key, previousKey, env })
      expect(await read()).toMatchObject({ access_token: 'token' })
      await world.reopen({ key, env })
      expect(await read()).toMatchObject({ access_token: 'token' })
      expect(world.vault.deriveKey('x')).toEqual(derived)
      await expect(world.reopen({ key: previousKey, env })).rejects.toMatchObject(unavailable)
      await world.reopen({ key, env })
      previousKey = key
    }
    expect(parseRootKey(line)).toBeDefined()
  })

  test('a command that gives back another key is caught before anything is left to it', async () => {
    const fixed = `console.log(JSON.stringify({ wrapped: 'x', plaintext: '${randomBytes(32).toString('base64')}' }))`
    const key: KeyProviderSettings = {
      provider: 'command',
      command: [process.execPath, '-e', fixed],
      timeout_seconds: 10,
    }
    await expect(world.reopen({ key, previousKey: { provider: 'file' } })).rejects.toMatchObject({
      ...unavailable,
      detail: expect.stringMatching(/another key/),
    })
    await world.reopen({})
    expect(await read()).toMatchObject({ access_token: 'token' })
  })
})

test('keys that were swapped in the database do not open it', async () => {
  await world.keep('token')
  const { db } = world.store
  const rows = await db.selectFrom('wrapping_keys').selectAll().execute()
  const [entries, heads] = ['entries', 'heads'].map((purpose) => rows.find((row) => row.purpose === purpose))
  if (!entries || !heads) throw new Error('no keys')
  await db.updateTable('wrapping_keys').set({ wrapped: heads.wrapped }).where('id', '=', entries.id).execute()
  await expect(world.reopen()).rejects.toMatchObject(unavailable)
})

test('the root key opens keys, and nothing else: it is in no row, nor what it wraps', async () => {
  await world.keep('token')
  const root = await readKeyFile(world.keyFile)
  await world.store.emptyLog()
  const database = await readFile(world.database)
  expect(database.includes(root?.bytes.expose() ?? '')).toBe(false)
  expect(database.includes(root?.bytes.expose().toString('base64url') ?? '')).toBe(false)
})

test('a vault that is opened twice at once on a new database has one set of keys', async () => {
  await world.store.db.deleteFrom('wrapping_keys').execute()
  await world.store.db.deleteFrom('vault_state').execute()
  await rm(join(world.home, 'vault.mark'), { force: true })
  const open = () =>
    openVault({ keyFile: world.keyFile, store: world.store, clock: systemClock, audit: testAudit(world) })
  const [a, b] = await Promise.all([open(), open()])
  expect(a.deriveKey('x')).toEqual(b.deriveKey('x'))
  expect(await world.store.db.selectFrom('wrapping_keys').select('id').execute()).toHaveLength(3)
})
