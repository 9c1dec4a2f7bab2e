import { sql } from 'kysely'

/**
 * As the index `sessions_not_ended` says it, word for word: SQLite takes an index of part of a table only where the query says so
 * itself, and a parameter says nothing. Without it, whoever looks for one of a few sessions reads the million that have ended.
 */
export const notEnded = sql<boolean>`status <> 'ended'`
