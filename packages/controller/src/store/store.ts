import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '@anteroom/base'
import { Kysely, sql, type Transaction } from 'kysely'
import { type Migration, migrations } from './migrations.ts'
import { openSqlite, openSqliteToRead, sqliteDialect } from './sqlite-dialect.ts'
import type { Tables } from './tables.ts'

export { damageOf } from './integrity.ts'
export { notEnded } from './not-ended.ts'
export { newestFirst, type PageQuery, pageOf } from './page-cursor.ts'
export { type Reach, requireReached, within } from './reach.ts'
export type { LimitCode, NewRow, Row, Tables } from './tables.ts'

/** A Kysely to query with: the database itself, or a transaction on it. */
export type Db = Kysely<Tables>
export type Tx = Transaction<Tables>

export interface Store {
  readonly db: Db
  /** All or nothing; transactions run one after the other. */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /**
   * Writes what the write-ahead log holds into the database and cuts the log to nothing: what was overwritten since is then in
   * neither. False when somebody reads an older state meanwhile.
   */
  emptyLog(): Promise<boolean>
  close(): Promise<void>
}

/**
 * The database of a state directory. A new one is made only where there never was one: it would know of no machine that runs, and
 * of no credential.
 * @throws AppError store_unavailable
 */
export async function openStoreIn(home: string): Promise<Store> {
  const path = join(home, 'anteroom.sqlite')
  // The key, or where another holds it what the vault writes beside the database.
  for (const key of [join(home, 'vault.key'), join(home, 'vault.mark')])
    if (!(await isThere(path)) && (await isThere(key)))
      throw new AppError('store_unavailable', {
        detail: `${path} is gone, and ${key} says that there was one. Bring it back; to begin anew, move that away`,
      })
  return await openStore(path)
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/**
 * Opens the database at `path` (`:memory:` for tests) and brings it to the newest migration.
 * @throws AppError store_unavailable
 */
export async function openStore(path: string): Promise<Store> {
  try {
    const db = new Kysely<Tables>({ dialect: sqliteDialect(openSqlite(path)) })
    await migrate(db, migrations)
    return {
      db,
      transaction: (work) => db.transaction().execute(work),
      async emptyLog() {
        const { rows } = await sql<{ busy: number }>`pragma wal_checkpoint(truncate)`.execute(db)
        return rows.every(({ busy }) => busy === 0)
      },
      close: () => db.destroy(),
    }
  } catch (error) {
    throw unopened(path, error)
  }
}

/**
 * The database as it is, to be read beside whoever has it open: nothing is migrated and nothing written.
 * @throws AppError store_unavailable
 */
export async function openStoreToRead(path: string): Promise<Pick<Store, 'db' | 'close'>> {
  try {
    const db = new Kysely<Tables>({ dialect: sqliteDialect(openSqliteToRead(path)) })
    return { db, close: () => db.destroy() }
  } catch (error) {
    throw unopened(path, error)
  }
}

const unopened = (path: string, error: unknown): AppError =>
  new AppError('store_unavailable', {
    detail: `${path}: ${error instanceof Error ? error.message : String(error)}`,
    cause: error,
  })

async function migrate(db: Db, list: readonly Migration[]): Promise<void> {
  await sql`create table if not exists migrations (number integer primary key, name text not null, applied_at integer not null)`.execute(
    db,
  )
  const { rows } = await sql<{ last: number | null }>`select max(number) as last from migrations`.execute(db)
  const last = rows[0]?.last ?? 0
  const newest = list.at(-1)?.number ?? 0
  if (last > newest)
    throw new Error(`the database was written by a newer version (migration ${last}; this version knows ${newest})`)
  for (const migration of list.filter((m) => m.number > last)) {
    await db.transaction().execute(async (tx) => {
      for (const statement of migration.statements) await sql.raw(statement).execute(tx)
      await sql`insert into migrations (number, name, applied_at) values (${migration.number}, ${migration.name}, ${Date.now()})`.execute(
        tx,
      )
    })
  }
}
