import { copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Scope } from '@anteroom/base'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readCredential } from '../../test/read-credential.ts'
import { openStore } from '../store/store.ts'
import { TestVault } from './test-vault.fixture.ts'

let world: TestVault
let alice: string
let bob: string
beforeEach(async () => {
  world = await TestVault.open()
  alice = await world.keep('first')
  bob = await world.keep('bob’s')
})
afterEach(() => world.close())

const unavailable = { code: 'vault_unavailable' }
const putBack = async () => (await world.vault.verify(Scope.root('test'))).put_back
const marked = () => join(world.home, 'vault.mark')

/** All rows of one connection, to be put back later. */
async function takeCopy(id: string) {
  const connection = await world.store.db.selectFrom('connections').selectAll().where('id', '=', id).execute()
  const credentials = await world.store.db
    .selectFrom('credentials')
    .selectAll()
    .where('connection_id', '=', id)
    .execute()
  return async () => {
    await sql`drop trigger if exists data_key_goes_first`.execute(world.store.db)
    await world.store.db.deleteFrom('connections').where('id', '=', id).execute()
    await world.store.db.insertInto('connections').values(connection).execute()
    await world.store.db.insertInto('credentials').values(credentials).execute()
  }
}

test('what was not touched adds up, after every kind of change', async () => {
  expect(await putBack()).toBeNull()
  await world.keep('second', alice)
  expect(await putBack()).toBeNull()
  await world.vault.destroy('everything', bob, async (tx) => {
    await tx.deleteFrom('connections').where('id', '=', bob).execute()
  })
  expect(await putBack()).toBeNull()
  await world.reopen()
  expect(await putBack()).toBeNull()
})

test('a whole connection that is put back: it is refused, in a new process too, until the operator takes it as it is', async () => {
  const restore = await takeCopy(alice)
  await world.keep('second', alice)
  await restore()
  await expect(world.vault.read(alice)).rejects.toMatchObject(unavailable)
  expect(await putBack()).toMatch(/put back to an older version/)
  // What a new process cannot know of one connection, it knows of all of them together: it gives none.
  await world.reopen()
  for (const id of [alice, bob])
    await expect(world.vault.read(id)).rejects.toMatchObject({
      ...unavailable,
      detail: expect.stringMatching(/put back to an older version.*vault accept/),
    })
  expect(await putBack()).toMatch(/put back to an older version/)
  await world.reopen({ acceptPutBack: true })
  expect((await readCredential(world.vault, alice)).version).toBe(1)
})

test('a connection that comes back after it was deleted does not add up', async () => {
  const restore = await takeCopy(bob)
  await world.vault.destroy('everything', bob, async (tx) => {
    await tx.deleteFrom('connections').where('id', '=', bob).execute()
  })
  await restore()
  expect(await putBack()).toMatch(/2 connections have a credential, and it should be 1/)
})

describe('the whole database put back', () => {
  let copy: string
  beforeEach(async () => {
    copy = join(world.home, 'copy')
    await world.store.emptyLog()
    await copyFile(world.database, copy)
    await world.keep('second', alice)
    await world.store.close()
    await copyFile(copy, world.database)
    await Promise.all(['-wal', '-shm'].map((suffix) => rm(world.database + suffix, { force: true })))
    world.store = await openStore(world.database)
  })

  test('is refused at the start, saying what to do; and taken when the operator says so', async () => {
    await expect(world.reopen()).rejects.toMatchObject({
      ...unavailable,
      detail: expect.stringMatching(/was put back.*vault accept/),
    })
    await world.reopen({ acceptPutBack: true })
    expect((await readCredential(world.vault, alice)).version).toBe(1)
    await world.reopen({})
    expect(await putBack()).toBeNull()
    await world.keep('third', alice)
  })

  test('is not noticed when the mark is put back with it: this is what the page on the vault says', async () => {
    await rm(marked())
    await world.reopen()
    expect(await putBack()).toBeNull()
  })
})

test('a mark that was changed is refused', async () => {
  const { sequence, mac } = JSON.parse(await readFile(marked(), 'utf8'))
  await writeFile(marked(), JSON.stringify({ sequence: sequence - 1, mac }))
  await expect(world.reopen()).rejects.toMatchObject(unavailable)
  await writeFile(marked(), 'x')
  await expect(world.reopen()).rejects.toMatchObject(unavailable)
  await world.reopen({ acceptPutBack: true })
})

test.each([
  ['changed', sql`update vault_state set sequence = sequence + 5`],
  ['made to add up', sql`update vault_state set sum = 'ff'`],
  ['removed', sql`delete from vault_state`],
])('the row that counts is %s: nothing is opened or written', async (_what, change) => {
  await change.execute(world.store.db)
  await expect(world.keep('second', alice)).rejects.toMatchObject(unavailable)
  await expect(world.reopen()).rejects.toMatchObject(unavailable)
})

test.each([
  ['a head without a key', sql`update connections set head = 'AAAA'`],
  ['no head', sql`update connections set head = null`],
  ['another owner', sql`update connections set subject = subject || 'x'`],
  ['a version that never was', sql`update connections set version = 7`],
  ['the form of before owners', sql`update credentials set format = 1`],
  ['a form that is none', sql`update credentials set format = 9`],
])('%s is refused, and found', async (_what, change) => {
  await change.execute(world.store.db)
  await expect(world.vault.read(alice)).rejects.toMatchObject(unavailable)
  const { unreadable, put_back } = await world.vault.verify(Scope.root('test'))
  expect(put_back === null ? unreadable.length : 2).toBe(2)
})
