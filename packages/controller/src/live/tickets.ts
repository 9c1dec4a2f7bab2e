import { createHash } from 'node:crypto'
import { AppError, type Clock, newToken } from '@anteroom/base'
import type { Ticket } from '@anteroom/contract'
import type { Store } from '../store/store.ts'
import type { AskedBy, LiveAccess, Redeemed } from './live.ts'

/** A ticket is worth nothing any more by then; its row is kept no longer. */
const keepMs = 3_600_000

const hashOf = (ticket: string): string => createHash('sha256').update(ticket).digest('hex')

/** Single-use access to the live view. The database holds hashes only: a copy of it opens nothing. */
export class Tickets {
  readonly #store: Store
  readonly #clock: Clock
  readonly #publicUrl: () => string

  constructor(store: Store, clock: Clock, publicUrl: () => string) {
    this.#store = store
    this.#clock = clock
    this.#publicUrl = publicUrl
  }

  async issue(sessionId: string, access: LiveAccess, ttlSeconds: number, by: AskedBy | null): Promise<Ticket> {
    const ticket = newToken()
    const now = this.#clock.now()
    const expiresAt = now + ttlSeconds * 1000
    await this.#store.transaction(async (tx) => {
      await tx
        .deleteFrom('tickets')
        .where('expires_at', '<', now - keepMs)
        .execute()
      await tx
        .insertInto('tickets')
        .values({
          ...{ hash: hashOf(ticket), session_id: sessionId, access, expires_at: expiresAt },
          ...{ key_id: by?.id ?? null, key_hash: by?.hash ?? null },
        })
        .execute()
    })
    return { ticket, access, url: this.#urlOf(sessionId, ticket), expires_at: new Date(expiresAt).toISOString() }
  }

  /** One statement, so that of two redemptions at the same time one finds the row used. */
  async redeem(sessionId: string, ticket: string): Promise<Redeemed> {
    const now = this.#clock.now()
    const used = await this.#store.db
      .updateTable('tickets')
      .set({ used_at: now })
      .where('hash', '=', hashOf(ticket))
      .where('session_id', '=', sessionId)
      .where('used_at', 'is', null)
      .where('revoked_at', 'is', null)
      .where('expires_at', '>', now)
      .returning(['access', 'key_id', 'key_hash'])
      .executeTakeFirst()
    if (!used) throw new AppError('ticket_invalid')
    const { access, key_id: id, key_hash: hash } = used
    return { access, by: id !== null && hash !== null ? { id, hash } : null }
  }

  async revokeAll(sessionId: string): Promise<void> {
    await this.#store.db
      .updateTable('tickets')
      .set({ revoked_at: this.#clock.now() })
      .where('session_id', '=', sessionId)
      .where('revoked_at', 'is', null)
      .execute()
  }

  #urlOf(sessionId: string, ticket: string): string {
    // http → ws, https → wss.
    const url = new URL(`${this.#publicUrl().replace(/^http/, 'ws').replace(/\/$/, '')}/v1/sessions/${sessionId}/live`)
    url.searchParams.set('ticket', ticket)
    return url.href
  }
}
