import { mkdtempSync, rmSync } from 'node:fs'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { newId } from '@anteroom/base'
import { defaultProjectId } from '@anteroom/contract'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Db, type NewRow, openStore, openStoreIn, type Store } from './store.ts'

let store: Store
beforeEach(async () => {
  store = await openStore(':memory:')
})
afterEach(() => store.close())

const queued = (over: Partial<NewRow<'sessions'>> = {}): NewRow<'sessions'> => ({
  id: newId('session'),
  project_id: defaultProjectId,
  version: 1,
  status: 'queued',
  provider: 'demo',
  provider_definition: '{}',
  subject: 'me',
  entry_hash: 'hash',
  capture_requested: 0,
  attempt: 0,
  not_before: 0,
  created_at: 1,
  expires_at: 2,
  ...over,
})

const vm = { browser_vm_id: newId('machine'), vm_ip: '10.213.0.2', vnc_url: 'vnc://10.213.0.2:5900', image_id: 'img_0' }

describe('a session row', () => {
  const insert = (over: Partial<NewRow<'sessions'>>) => store.db.insertInto('sessions').values(queued(over)).execute()

  test.each(['vm_created', 'ready', 'capturing'] as const)(
    'cannot be %s without any one of its machine fields',
    async (status) => {
      for (const missing of Object.keys(vm))
        await expect(insert({ status, ...vm, [missing]: null })).rejects.toThrow('live_session_has_its_machine')
      await insert({ status, ...vm })
    },
  )

  test('has an outcome exactly when it is ending or ended, and a reason when it failed', async () => {
    await expect(insert({ status: 'ending' })).rejects.toThrow('ending_session_has_an_outcome')
    await expect(insert({ status: 'queued', outcome: 'cancelled' })).rejects.toThrow('ending_session_has_an_outcome')
    await expect(insert({ status: 'ended', outcome: 'cancelled' })).rejects.toThrow('ended_session_has_a_time')
    await expect(insert({ status: 'ending', outcome: 'failed' })).rejects.toThrow('failed_session_has_a_reason')
  })

  test('never changes once it has ended; its outcome not even before', async () => {
    const row = queued({ status: 'ending', outcome: 'cancelled' })
    await store.db.insertInto('sessions').values(row).execute()
    const set = (change: Partial<NewRow<'sessions'>>) =>
      store.db.updateTable('sessions').set(change).where('id', '=', row.id).execute()
    await expect(set({ outcome: 'completed' })).rejects.toThrow('an outcome never changes')
    await set({ status: 'ended', ended_at: 5 })
    await expect(set({ subject: 'you' })).rejects.toThrow('an ended session never changes')
  })
})

test('a slot and an address are held by one machine', async () => {
  const machine = (over: Partial<NewRow<'machines'>>): NewRow<'machines'> => ({
    id: newId('machine'),
    session_id: null,
    image_id: 'img_0',
    slot_kind: 'user',
    slot_index: 0,
    vm_ip: '127.213.0.1',
    accelerator: 'tcg',
    created_at: 1,
    ...over,
  })
  const insert = (over: Partial<NewRow<'machines'>>) => store.db.insertInto('machines').values(machine(over)).execute()
  await insert({})
  await expect(insert({ vm_ip: '127.213.0.2' })).rejects.toThrow('slot_index')
  await expect(insert({ slot_index: 1 })).rejects.toThrow('vm_ip')
})

test('transactions run one after the other, and what fails leaves nothing', async () => {
  const order: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = store.transaction(async (tx) => {
    await tx.insertInto('sessions').values(queued()).execute()
    await gate.promise
    order.push('first')
    throw new Error('changed its mind')
  })
  const second = store.transaction(async (tx) => {
    order.push('second')
    return await tx.selectFrom('sessions').selectAll().execute()
  })
  gate.resolve()
  await expect(first).rejects.toThrow('changed its mind')
  expect(await second).toEqual([])
  expect(order).toEqual(['first', 'second'])
})

describe('a database file', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'anteroom-store-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  test('keeps its rows, and is migrated once', async () => {
    const path = join(directory, 'store.sqlite')
    const before = await openStore(path)
    await before.db.insertInto('sessions').values(queued()).execute()
    await before.close()
    const after = await openStore(path)
    expect(await after.db.selectFrom('sessions').select('id').execute()).toHaveLength(1)
    await after.close()
  })

  test('of a newer version is refused and not touched', async () => {
    const path = join(directory, 'store.sqlite')
    const newer = await openStore(path)
    await sql`insert into migrations (number, name, applied_at) values (9999, 'from the future', 0)`.execute(newer.db)
    await newer.close()
    await expect(openStore(path)).rejects.toMatchObject({
      code: 'store_unavailable',
      detail: expect.stringContaining('newer version'),
    })
  })

  test('that another process holds for a moment is waited for, while the event loop goes on', async () => {
    const path = join(directory, 'store.sqlite')
    const held = await openStore(path)
    const other = new DatabaseSync(path)
    other.exec('begin exclusive')
    // The lock is this thread's own: if the wait stood still, nobody could give it back.
    const released = new Promise<void>((resolve) =>
      setImmediate(() => {
        other.exec('rollback')
        resolve()
      }),
    )
    await held.db.insertInto('sessions').values(queued()).execute()
    await released
    other.close()
    await held.close()
  })

  test('that is gone is not made anew where a vault key says that there was one', async () => {
    await (await openStoreIn(directory)).close()
    await writeFile(join(directory, 'vault.key'), 'key')
    await (await openStoreIn(directory)).close()
    await rm(join(directory, 'anteroom.sqlite'))
    await expect(openStoreIn(directory)).rejects.toMatchObject({
      code: 'store_unavailable',
      detail: expect.stringContaining('anteroom.sqlite is gone'),
    })
    expect(await readdir(directory)).toEqual(['vault.key'])
  })

  test('that another process holds answers with a code, and works again afterwards', async () => {
    const path = join(directory, 'store.sqlite')
    const held = await openStore(path)
    const other = new DatabaseSync(path)
    other.exec('begin exclusive')
    const insert = (): Promise<unknown> => held.db.insertInto('sessions').values(queued()).execute()
    await expect(insert()).rejects.toMatchObject({
      code: 'store_unavailable',
      detail: expect.stringContaining('locked'),
    })
    other.exec('rollback')
    other.close()
    await insert()
    await held.close()
  })

  test('whose disk is full answers with a code, in a transaction too', async () => {
    const small = await openStore(join(directory, 'store.sqlite'))
    await sql`pragma max_page_count = 60`.execute(small.db)
    const fill = async (db: Db): Promise<void> => {
      for (let n = 0; n < 500; n++)
        await db
          .insertInto('sessions')
          .values(queued({ subject: 'x'.repeat(1000) }))
          .execute()
    }
    await expect(small.transaction(fill)).rejects.toMatchObject({ code: 'disk_full' })
    await expect(fill(small.db)).rejects.toMatchObject({ code: 'disk_full' })
    await small.close()
  })

  test('that is no database is refused with a code', async () => {
    await expect(openStore(directory)).rejects.toMatchObject({ code: 'store_unavailable' })
  })
})
