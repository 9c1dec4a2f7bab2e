import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
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
