import { sql } from 'kysely'
import { type Check, ok } from '../check.ts'
import { required } from '../required.ts'

/** Can the database be written? Opening it has brought it to the newest migration. */
export const store: Check = {
  name: 'store',
  async examine({ store }, scope) {
    const { db } = required(store)
    const { rows } = await sql<{ number: number }>`select max(number) as number from migrations`.execute(db)
    // A number in the file's header that SQLite leaves to its user: written and synced like everything else.
    await scope.race(sql`pragma user_version = 1`.execute(db))
    return ok(`it can be written, migration ${rows[0]?.number ?? 0}`)
  },
}
