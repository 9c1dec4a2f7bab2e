import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Scope } from '@anteroom/base'
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readCredential } from '../../test/read-credential.ts'
import type { Store } from '../store/store.ts'
import { TestVault } from './test-vault.fixture.ts'

let world: TestVault
beforeEach(async () => {
  world = await TestVault.open()
})
afterEach(() => world.close())

const rotate = (): Promise<void> => world.rotate(Scope.root('test'))

const keysOf = async (table: 'credentials' | 'sealing_keys'): Promise<string[]> => {
  const rows = await world.store.db.selectFrom(table).select('wrapping_key_id').distinct().execute()
  return rows.map((row) => row.wrapping_key_id)
}
const wrappingKeys = () =>
  world.store.db.selectFrom('wrapping_keys').selectAll().where('purpose', '=', 'entries').execute()

test('wraps everything under a new key, and destroys the one before', async () => {
  const connections = await Promise.all(Array.from({ length: 120 }, (_, n) => world.keep(`token ${n}`)))
  const waiting = await world.newSession()
  const sealed = await world.sealed(waiting, 'sealed before')
  const [before] = await wrappingKeys()
  const derived = world.vault.deriveKey('a machine')
  expect(await world.vault.rotation.newest()).toBeUndefined()

  expect(await world.vault.rotation.request()).toMatchObject({ status: 'running', key_id: null })
  expect(await world.vault.rotation.request()).toMatchObject({ status: 'running', key_id: null })
  await rotate()
  const [after, ...more] = await wrappingKeys()
  expect(more).toEqual([])
  expect(after?.id).not.toBe(before?.id)
  expect(await keysOf('credentials')).toEqual([after?.id])
  expect(await keysOf('sealing_keys')).toEqual([after?.id])
  const progress = { status: 'completed', key_id: after?.id, total: 121, done: 121, unreadable: 0 }
  expect(await world.vault.rotation.newest()).toMatchObject(progress)

  for (const reopened of [false, true]) {
    if (reopened) await world.reopen()
    expect(world.vault.deriveKey('a machine')).toEqual(derived)
    for (const [n, id] of connections.entries())
      expect((await readCredential(world.vault, id)).value).toMatchObject({ access_token: `token ${n}` })
  }
  await world.vault.store(waiting, sealed, (await import('../../test/sample-credential.ts')).sampleSummary)
  expect((await readCredential(world.vault, waiting.connectionId)).version).toBe(1)
  expect(await world.vault.verify(Scope.root('test'))).toMatchObject({ entries: 121, opened: 121, put_back: null })
  // The old key is not even in a page that was freed, nor in the log.
  for (const name of (await readdir(world.home)).filter((file) => file.startsWith('anteroom.sqlite')))
    expect(await readFile(join(world.home, name), 'latin1')).not.toContain(before?.wrapped)
})

test.each([1, 2, 3, 4])('goes on where it was stopped, after transaction %i', async (stopAfter) => {
  const connections = await Promise.all(Array.from({ length: 170 }, (_, n) => world.keep(`token ${n}`)))
  await world.vault.rotation.request()
  const dead = new Error('the process is gone')
  let left = stopAfter
  const transaction: Store['transaction'] = world.store.transaction
  Object.assign(world.store, {
    transaction: (async (work) => {
      if (left-- <= 0) throw dead
      return await transaction(work)
    }) satisfies Store['transaction'],
  })
  const scope = Scope.root('test')
  await expect(world.vault.rotation.newest()).resolves.toMatchObject({ status: 'running' })
  const running = world.vault.run(scope)
  await scope.until(async () => (left < 0 ? true : undefined), 5)
  scope.cancel()
  await running
  // Half of it is done, and everything can be read: now, and by the next process, before it goes on.
  const halfway = await world.vault.rotation.newest()
  expect(halfway?.status).toBe('running')
  await world.reopen()
  for (const [n, id] of connections.entries())
    expect((await readCredential(world.vault, id)).value).toMatchObject({ access_token: `token ${n}` })
  const late = await world.keep('while it waits')
  await rotate()
  expect(await keysOf('credentials')).toEqual([(await wrappingKeys())[0]?.id])
  expect((await readCredential(world.vault, late)).version).toBe(1)
  expect(await world.vault.verify(Scope.root('test'))).toMatchObject({ entries: 171, opened: 171, unreadable: [] })
})

test('credentials are read and written while it runs', async () => {
  const connections = await Promise.all(Array.from({ length: 300 }, (_, n) => world.keep(`token ${n}`)))
  await world.vault.rotation.request()
  const rotating = rotate()
  const seen = new Set<string>()
  let isOver = false
  const over = rotating.then(() => {
    isOver = true
  })
  for (let n = 0; !isOver; n++) {
    const id = connections[n % connections.length] ?? ''
    expect((await readCredential(world.vault, id)).value).toMatchObject({
      access_token: expect.stringMatching(/^token/),
    })
    seen.add((await world.vault.rotation.newest())?.status ?? '')
    if (n % 7 === 0) await world.keep(`token ${n}`, id)
  }
  await over
  expect(seen).toContain('running')
  expect(await keysOf('credentials')).toHaveLength(1)
})

test('an entry that opens with no key does not keep the old key, and is named', async () => {
  const [good, bad] = [await world.keep('good'), await world.keep('bad')]
  await sql`update credentials set wrapped_key = 'AAAA' || substr(wrapped_key, 5) where connection_id = ${bad}`.execute(
    world.store.db,
  )
  await world.vault.rotation.request()
  await rotate()
  expect(await world.vault.rotation.newest()).toMatchObject({ done: 2, unreadable: 1 })
  expect((await readCredential(world.vault, good)).version).toBe(1)
  await expect(world.vault.read(bad)).rejects.toMatchObject({ code: 'vault_unavailable' })
  const report = await world.vault.verify(Scope.root('test'))
  expect(report).toMatchObject({ entries: 2, opened: 1, unreadable: [{ connection_id: bad }] })
  expect(await wrappingKeys()).toHaveLength(1)
})

test('a key provider that is gone stops it, and nothing is lost', async () => {
  const id = await world.keep('token')
  await mkdir(join(world.home, 'elsewhere'))
  const command = { provider: 'command' as const, command: ['/no/such/program'], timeout_seconds: 1 }
  await expect(world.reopen({ key: command })).rejects.toMatchObject({ code: 'vault_unavailable' })
  await world.reopen({})
  expect((await readCredential(world.vault, id)).version).toBe(1)
})
