import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Scope } from '@anteroom/base'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { testAudit } from '../../test/test-audit.ts'
import { createConnections } from '../connections/connections.ts'
import { openStoreToRead } from '../store/store.ts'
import { TestVault } from './test-vault.fixture.ts'

let world: TestVault
beforeEach(async () => {
  world = await TestVault.open()
})
afterEach(() => world.close())

const remove = (id: string) =>
  createConnections({ store: world.store, vault: world.vault, audit: testAudit({ store: world.store }) }).remove(id)

/** Which of the texts are in the database's files: pages, freed pages, write-ahead log. */
async function found(texts: readonly string[]): Promise<string[]> {
  const names = (await readdir(world.home)).filter((name) => name.startsWith('anteroom.sqlite'))
  const contents = await Promise.all(names.map((name) => readFile(join(world.home, name), 'latin1')))
  return texts.filter((text) => contents.some((content) => content.includes(text)))
}

const columnsOf = async (id: string): Promise<string[]> => {
  const rows = await world.store.db.selectFrom('credentials').selectAll().where('connection_id', '=', id).execute()
  return rows.flatMap((row) => [row.wrapped_key, row.ciphertext.slice(0, 60)])
}

test('the data keys of all versions are in no file any more when the connection is deleted', async () => {
  const [alice, bob] = [await world.keep('one'), await world.keep('two')]
  for (let n = 0; n < 5; n++) await world.keep(`again ${n}`, alice)
  const [alices, bobs] = [await columnsOf(alice), await columnsOf(bob)]
  expect(alices).toHaveLength(12)
  expect(await found(alices)).toEqual(alices)
  await remove(alice)
  expect(await found(alices)).toEqual([])
  expect(await found(bobs)).toEqual(bobs)
  expect(await world.vault.verify(Scope.root('test'))).toMatchObject({ entries: 1, opened: 1, put_back: null })
})

test('while somebody reads the database the log is emptied as soon as they are done', async () => {
  const alice = await world.keep('one')
  const alices = await columnsOf(alice)
  const reader = await openStoreToRead(world.database)
  const done = Promise.withResolvers<void>()
  const reading = reader.db.transaction().execute(async (tx) => {
    await tx.selectFrom('credentials').selectAll().execute()
    await done.promise
  })
  await remove(alice)
  expect(await found(alices)).toEqual(alices)
  const scope = Scope.root('test')
  const running = world.vault.run(scope)
  done.resolve()
  await reading.catch(() => {})
  await reader.close()
  await scope.until(async () => ((await found(alices)).length === 0 ? true : undefined), 20)
  scope.cancel()
  await running
})

test('no code deletes a credential whose data key is still there', async () => {
  const alice = await world.keep('one')
  await expect(world.store.db.deleteFrom('credentials').execute()).rejects.toThrow(/data key is destroyed/)
  await expect(world.store.db.deleteFrom('connections').execute()).rejects.toThrow(/data key is destroyed/)
  expect(await columnsOf(alice)).toHaveLength(2)
})

test('a connection that is not there is not found, and one without a credential goes', async () => {
  const { connectionId } = await world.newSession()
  await remove(connectionId)
  await expect(remove(connectionId)).rejects.toMatchObject({ code: 'not_found' })
})
