import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { defaultProjectId } from '@anteroom/contract'
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { migrations } from './migrations.ts'
import { openStore, type Store } from './store.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'anteroom-migrations-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

/** A database as the version with this migration left it, with something in it; opened by this version. */
async function grown(number: number, fill: (old: DatabaseSync) => void): Promise<Store> {
  const path = join(directory, 'store.sqlite')
  const old = new DatabaseSync(path)
  old.exec(
    'pragma foreign_keys = on; create table migrations (number integer primary key, name text not null, applied_at integer not null)',
  )
  for (const migration of migrations.filter((one) => one.number <= number)) {
    for (const statement of migration.statements) old.exec(statement)
    old.prepare('insert into migrations values (?, ?, 0)').run(migration.number, migration.name)
  }
  fill(old)
  old.close()
  return await openStore(path)
}

test("6: the key of the reserved name is the operator's; what opened still opens", async () => {
  const store = await grown(5, (old) => {
    const insert = old.prepare(`insert into api_keys values (?, ?, ?, '["operator"]', 1)`)
    insert.run('key_a', 'operator key file', 'a'.repeat(64))
    insert.run('key_b', 'another', 'b'.repeat(64))
  })
  const never = { expires_at: null, revoked_at: null, previous_hash: null }
  expect(await store.db.selectFrom('api_keys').selectAll().orderBy('id').execute()).toMatchObject([
    { id: 'key_a', in_file: 1, hash: 'a'.repeat(64), ...never },
    { id: 'key_b', in_file: 0, hash: 'b'.repeat(64), ...never },
  ])
  const two = store.db.updateTable('api_keys').set({ in_file: 1 }).where('id', '=', 'key_b').execute()
  await expect(two).rejects.toThrow('in_file')
  await store.close()
})

test('8: everything is of the default project, and no credential is lost on the way', async () => {
  const store = await grown(7, (old) => {
    const session = old.prepare(
      `insert into sessions (id, version, status, outcome, provider, provider_definition, subject, entry_hash, created_at, expires_at, ended_at)
       values (?, 1, ?, ?, 'demo', '{}', 'ada', 'h', 1, 2, ?)`,
    )
    session.run('ses_ended', 'ended', 'completed', 3)
    session.run('ses_open', 'queued', null, null)
    const connection = old.prepare(`insert into connections values (?, ?, ?, 2, '{}', 'ses_ended', 1, 5)`)
    connection.run('con_a', 'demo', 'ada')
    connection.run('con_b', 'demo', 'grace')
    const credential = old.prepare(`insert into credentials values (?, ?, ?, ?, 'cipher', 'wrapped', 'key', 4)`)
    credential.run('crd_1', 'con_a', 1, 'ses_1')
    credential.run('crd_2', 'con_a', 2, 'ses_ended')
    old.exec(`insert into stages values ('ses_ended', 'queue', 1, 2)`)
    const key = old.prepare(`insert into api_keys (id, name, hash, scopes, created_at) values (?, 'a', ?, ?, 1)`)
    key.run('key_op', 'a', '["sessions:read","operator"]')
    key.run('key_app', 'b', '["sessions:read"]')
  })
  const { db } = store
  const of = { project_id: defaultProjectId }
  expect(await db.selectFrom('sessions').selectAll().orderBy('id').execute()).toMatchObject([
    { id: 'ses_ended', status: 'ended', ...of },
    { id: 'ses_open', status: 'queued', ...of },
  ])
  const whole = { version: 2, captured: '{}', last_session_id: 'ses_ended', head: null, created_at: 1, updated_at: 5 }
  expect(await db.selectFrom('connections').selectAll().orderBy('id').execute()).toEqual([
    { id: 'con_a', provider: 'demo', subject: 'ada', ...whole, ...of },
    { id: 'con_b', provider: 'demo', subject: 'grace', ...whole, ...of },
  ])
  const sealed = { ciphertext: 'cipher', wrapped_key: 'wrapped', wrapping_key_id: 'key', captured_at: 4, format: 1 }
  expect(await db.selectFrom('credentials').selectAll().orderBy('id').execute()).toEqual([
    { id: 'crd_1', connection_id: 'con_a', version: 1, session_id: 'ses_1', ...sealed },
    { id: 'crd_2', connection_id: 'con_a', version: 2, session_id: 'ses_ended', ...sealed },
  ])
  expect(await db.selectFrom('stages').selectAll().execute()).toHaveLength(1)
  expect(await db.selectFrom('api_keys').select(['id', 'project_id']).orderBy('id').execute()).toEqual([
    { id: 'key_app', ...of },
    { id: 'key_op', project_id: null },
  ])
  await store.close()
})

test('8: a credential still goes with its connection, needs one, and the same subject may be in two projects', async () => {
  const store = await grown(7, (old) => {
    old.exec(`insert into connections values ('con_a', 'demo', 'ada', 1, null, null, 1, 1)`)
    old.exec(`insert into credentials values ('crd_1', 'con_a', 1, 'ses_1', 'c', 'w', 'k', 1)`)
  })
  const { db } = store
  expect((await sql`pragma foreign_key_check`.execute(db)).rows).toEqual([])
  await db.insertInto('projects').values({ id: 'prj_b', name: 'b', created_at: 1 }).execute()
  const ada = { provider: 'demo', subject: 'ada', version: 0, created_at: 1, updated_at: 1 }
  const insert = (id: string, project_id: string) =>
    db
      .insertInto('connections')
      .values({ id, project_id, ...ada })
      .execute()
  await insert('con_b', 'prj_b')
  await expect(insert('con_c', defaultProjectId)).rejects.toThrow('UNIQUE')
  await expect(insert('con_c', 'prj_none')).rejects.toThrow('FOREIGN KEY')
  const orphan = db.updateTable('credentials').set({ connection_id: 'con_none' })
  await expect(orphan.execute()).rejects.toThrow('FOREIGN KEY')
  const remove = () => db.deleteFrom('connections').where('id', '=', 'con_a').execute()
  await expect(remove()).rejects.toThrow('a data key is destroyed before its credential goes')
  await db.updateTable('credentials').set({ format: 0 }).execute()
  await remove()
  expect(await db.selectFrom('credentials').selectAll().execute()).toEqual([])
  await store.close()
})
