import type { Connection } from '@anteroom/contract'
import type { Tx } from '../store/store.ts'

export interface ConnectionFilter {
  readonly provider?: string
  readonly subject?: string
  readonly cursor?: string
  readonly limit: number
}

/** Who is connected to what: subject × provider. Never values; those are the vault's. */
export interface Connections {
  /** The connection of this pair, made when it does not exist. */
  ensure(tx: Tx, provider: string, subject: string, now: number): Promise<string>
  get(id: string): Promise<Connection>
  list(filter: ConnectionFilter): Promise<{ items: Connection[]; next_cursor: string | null }>
  /** Deletes the connection and every version of its credential. @throws AppError not_found */
  remove(id: string): Promise<void>
}
