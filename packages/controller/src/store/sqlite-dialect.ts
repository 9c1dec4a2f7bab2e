import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { AppError } from '@anteroom/base'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'

/** Kysely over Node's own SQLite: one connection, statements prepared once, transactions one after the other. */
class SqliteDriver implements Driver {
  readonly #connection: SqliteConnection
  #turn: Promise<void> = Promise.resolve()
  #release: () => void = () => {}

  constructor(database: DatabaseSync) {
    this.#connection = new SqliteConnection(database)
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    const before = this.#turn
    const turn = Promise.withResolvers<void>()
    this.#turn = turn.promise
    await before
    this.#release = turn.resolve
    return this.#connection
  }

  /**
   * A commit has held the event loop while the disk wrote, and what waits here would go on within the same turn: whoever sent a
   * request meanwhile is heard before the next one writes.
   */
  async releaseConnection(): Promise<void> {
    if (this.#connection.hasWritten()) setImmediate(this.#release)
    else this.#release()
  }

  // IMMEDIATE: take the write lock at once, so that a transaction never fails half-way because another process wrote.
  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }
  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'))
  }
  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('rollback'))
  }

  async destroy(): Promise<void> {
    this.#connection.close()
  }
}

type SqlValue = null | number | bigint | string | Uint8Array

interface Prepared {
  readonly statement: StatementSync
  /** It answers with rows, not with a count of changes. */
  readonly hasRows: boolean
}

class SqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, Prepared>()
  #hasWritten = false

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    try {
      return this.#execute(query)
    } catch (error) {
      throw unavailable(error) ?? error
    }
  }

  #execute<R>(query: CompiledQuery): QueryResult<R> {
    const { statement, hasRows } = this.#prepare(query.sql)
    const parameters = query.parameters as SqlValue[]
    if (hasRows) return { rows: statement.all(...parameters) as R[] }
    const { changes, lastInsertRowid } = statement.run(...parameters)
    this.#hasWritten ||= Number(changes) > 0
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }

  /** Whether anything has changed since this was asked last. */
  hasWritten(): boolean {
    const hasWritten = this.#hasWritten
    this.#hasWritten = false
    return hasWritten
  }

  // biome-ignore lint/correctness/useYield: the interface asks for a stream; nothing here streams.
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('streaming is not supported')
  }

  close(): void {
    this.#statements.clear()
    this.#database.close()
  }

  #prepare(sql: string): Prepared {
    const known = this.#statements.get(sql)
    if (known) return known
    const statement = this.#database.prepare(sql)
    const prepared = { statement, hasRows: statement.columns().length > 0 }
    // Queries are few and fixed; lists of values of every length (`in (?, ?, …)`) are what could grow without bound.
    if (this.#statements.size >= 500) this.#statements.clear()
    this.#statements.set(sql, prepared)
    return prepared
  }
}

/** Primary result codes (https://www.sqlite.org/rescode.html) that speak of the file and its disk, not of the statement. */
const troubles: Readonly<Record<number, { readonly code: 'store_unavailable' | 'disk_full'; readonly what: string }>> =
  {
    5: { code: 'store_unavailable', what: 'the database is locked by another process' },
    8: { code: 'store_unavailable', what: 'the database is read-only' },
    10: { code: 'store_unavailable', what: 'the disk of the database reported an error' },
    11: { code: 'store_unavailable', what: 'the database file is damaged' },
    13: { code: 'disk_full', what: 'the disk of the database is full' },
    14: { code: 'store_unavailable', what: 'the database file cannot be opened' },
    26: { code: 'store_unavailable', what: 'the file is not a database' },
  }

function unavailable(error: unknown): AppError | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined
  // The low byte is the primary code; extended codes such as SQLITE_IOERR_WRITE add to it.
  const trouble = troubles[error.errcode & 0xff]
  return trouble && new AppError(trouble.code, { detail: trouble.what, cause: error })
}

export const sqliteDialect = (database: DatabaseSync): Dialect => ({
  createAdapter: () => new SqliteAdapter(),
  createDriver: () => new SqliteDriver(database),
  createIntrospector: (db) => new SqliteIntrospector(db),
  createQueryCompiler: () => new SqliteQueryCompiler(),
})

/**
 * WAL: readers do not wait for the writer. FULL: what a request was answered survives a power cut. secure_delete: the ciphertext
 * of a deleted credential is overwritten, not left in a free page.
 */
export function openSqlite(path: string): DatabaseSync {
  // The wait for another process's lock stops the event loop; only a backup or a person with a shell ever holds one.
  const database = new DatabaseSync(path, { timeout: 250 })
  database.exec(
    'pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on; pragma trusted_schema = off; pragma secure_delete = on',
  )
  return database
}

export const openSqliteToRead = (path: string): DatabaseSync => new DatabaseSync(path, { readOnly: true, timeout: 250 })
