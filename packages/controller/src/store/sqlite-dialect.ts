import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { AppError, systemClock } from '@anteroom/base'
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
    // A disk that fails while it is written to ends the transaction by itself, and why is what the caller must hear.
    if (this.#connection.isInTransaction) await connection.executeQuery(CompiledQuery.raw('rollback'))
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
  /** It does not only read: no other process holds the database when it has run. */
  readonly takesLock: boolean
}

/** Only a backup or a person with a shell ever holds a lock. From the first refusal on: whoever comes later does not wait again. */
const lockPatienceMs = 250
const askForLockEveryMs = 5

class SqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, Prepared>()
  #hasWritten = false
  /** Since when each attempt to take the lock has been refused. */
  #lockedSince: number | undefined

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  /** SQLite's own wait for a lock would stop the event loop, and with it every live view. */
  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    for (;;) {
      try {
        return this.#execute(query)
      } catch (error) {
        if (!isLocked(error) || !this.#hasPatience()) throw unavailable(error) ?? error
      }
      await systemClock.delay(askForLockEveryMs)
    }
  }

  #hasPatience(): boolean {
    const now = systemClock.monotonic()
    this.#lockedSince ??= now
    return now - this.#lockedSince < lockPatienceMs
  }

  #execute<R>(query: CompiledQuery): QueryResult<R> {
    const { statement, hasRows, takesLock } = this.#prepare(query.sql)
    const parameters = query.parameters as SqlValue[]
    const result = hasRows ? { rows: statement.all(...parameters) as R[] } : this.#change<R>(statement, parameters)
    if (takesLock) this.#lockedSince = undefined
    return result
  }

  #change<R>(statement: StatementSync, parameters: SqlValue[]): QueryResult<R> {
    const { changes, lastInsertRowid } = statement.run(...parameters)
    this.#hasWritten ||= Number(changes) > 0
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }

  get isInTransaction(): boolean {
    return this.#database.isTransaction
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
    const prepared = { statement, hasRows: statement.columns().length > 0, takesLock: !/^select\b/i.test(sql) }
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

/** undefined for what SQLite did not throw. The low byte is the primary code; extended ones (SQLITE_IOERR_WRITE) add to it. */
const primaryCode = (error: unknown): number | undefined =>
  error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : undefined

const isLocked = (error: unknown): boolean => primaryCode(error) === 5

function unavailable(error: unknown): AppError | undefined {
  const trouble = troubles[primaryCode(error) ?? -1]
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
  // Here the wait may stop the event loop: nobody is served yet.
  const database = new DatabaseSync(path, { timeout: lockPatienceMs })
  database.exec(
    'pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on; pragma trusted_schema = off; pragma secure_delete = on; pragma busy_timeout = 0',
  )
  return database
}

export const openSqliteToRead = (path: string): DatabaseSync => new DatabaseSync(path, { readOnly: true, timeout: 250 })
