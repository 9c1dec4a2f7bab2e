import { createHash } from 'node:crypto'
import { AppError, type Clock, newToken } from '@anteroom/base'
import type { LiveCloseReason, Ticket } from '@anteroom/contract'
import { sql } from 'kysely'
import type { Audit } from '../audit/audit.ts'
import type { Store } from '../store/store.ts'
import type { Admission, LiveParts, TicketOrder, TicketUse } from './live.ts'

/** Longer than any session lives: used tickets tell whose its screen is, and open it again for their cookies. */
const keepMs = 25 * 3_600_000

const hashOf = (ticket: string): string => createHash('sha256').update(ticket).digest('hex')

const viewerIdOf = (ticketHash: string): string => `vwr_${hashOf(`viewer ${ticketHash}`).slice(0, 24)}`

/** Single-use access to the live view. The database holds hashes only: a copy of it opens nothing. */
export class Tickets {
  readonly #store: Store
  readonly #clock: Clock
  readonly #audit: Pick<Audit, 'record'>
  readonly #publicUrl: () => string

  constructor({ store, clock, audit, publicUrl }: LiveParts) {
    this.#audit = audit
    this.#store = store
    this.#clock = clock
    this.#publicUrl = publicUrl
  }

  async issue(sessionId: string, order: TicketOrder): Promise<Ticket> {
    const { access, ttlSeconds, holder, origin = null } = order
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
          ...{ principal: holder.principal, cookie_hash: holder.cookie, origin },
          ...{ key_id: holder.key?.id ?? null, key_hash: holder.key?.hash ?? null },
        })
        .execute()
      await this.#audit.record(tx, {
        action: 'ticket.issued',
        target: { kind: 'session', id: sessionId },
        details: { access, expires_in_seconds: ttlSeconds },
      })
    })
    const url = this.#urlOf(sessionId, ticket)
    const expires_at = new Date(expiresAt).toISOString()
    return { ticket, access, viewer_id: viewerIdOf(hashOf(ticket)), url, expires_at }
  }

  /** One statement, so that of two redemptions at the same time one finds the row used. */
  async redeem(sessionId: string, { ticket, cookies, origin, isReconnect }: TicketUse): Promise<Admission> {
    const now = this.#clock.now()
    return await this.#store.transaction(async (tx) => {
      const used = await tx
        .updateTable('tickets')
        .set({ used_at: sql<number>`coalesce(used_at, ${now})` })
        .where('hash', '=', hashOf(ticket))
        .where('session_id', '=', sessionId)
        .where('revoked_at', 'is', null)
        .where('origin', origin === undefined ? 'is' : '=', origin ?? null)
        .where(({ and, or, eb }) =>
          isReconnect
            ? and([eb('used_at', 'is not', null), eb('cookie_hash', 'in', cookies)])
            : and([
                ...[eb('used_at', 'is', null), eb('expires_at', '>', now)],
                or([eb('cookie_hash', 'is', null), eb('cookie_hash', 'in', cookies)]),
              ]),
        )
        .returning(['access', 'principal', 'cookie_hash', 'key_id', 'key_hash'])
        .executeTakeFirst()
      if (!used) throw new AppError('ticket_invalid')
      const { access, principal, cookie_hash: cookie, key_id: id, key_hash: hash } = used
      await this.#audit.record(tx, {
        action: 'ticket.used',
        target: { kind: 'session', id: sessionId },
        details: { access, issued_to: principal, again: isReconnect },
      })
      const key = id !== null && hash !== null ? { id, hash } : null
      const redeemed = hashOf(ticket)
      const holder = { principal, cookie, key }
      return { sessionId, access, holder, ticket: redeemed, viewerId: viewerIdOf(redeemed) }
    })
  }

  /**
   * Does the screen belong to this principal? It is the account owner's once they have opened their link; before that it belongs to
   * whoever asked for the session, and to whoever opened it with control first.
   */
  async isOwner(sessionId: string, principal: string): Promise<boolean> {
    const session = await this.#store.db
      .selectFrom('sessions')
      .select(['entered_at', 'principal'])
      .where('id', '=', sessionId)
      .executeTakeFirst()
    if (session && session.entered_at !== null) return principal === `visitor ${sessionId}`
    if (session?.principal === principal) return true
    const first = await this.#store.db
      .selectFrom('tickets')
      .select('principal')
      .where('session_id', '=', sessionId)
      .where('access', '=', 'control')
      .where('used_at', 'is not', null)
      .orderBy('used_at')
      .limit(1)
      .executeTakeFirst()
    return first === undefined || first.principal === principal
  }

  async isRevoked(hash: string): Promise<boolean> {
    const row = await this.#store.db
      .selectFrom('tickets')
      .select('revoked_at')
      .where('hash', '=', hash)
      .executeTakeFirst()
    return (row?.revoked_at ?? null) !== null
  }

  async revokeAll(sessionId: string, reason: LiveCloseReason): Promise<void> {
    await this.#store.transaction(async (tx) => {
      const { numUpdatedRows } = await tx
        .updateTable('tickets')
        .set({ revoked_at: this.#clock.now() })
        .where('session_id', '=', sessionId)
        .where('revoked_at', 'is', null)
        .executeTakeFirstOrThrow()
      // Those of a session that ends go with it.
      if (reason !== 'ticket_revoked') return
      const target = { kind: 'session', id: sessionId } as const
      await this.#audit.record(tx, { action: 'ticket.revoked', target, details: { tickets: Number(numUpdatedRows) } })
    })
  }

  async revokeOfCookie(cookie: string): Promise<void> {
    await this.#store.db
      .updateTable('tickets')
      .set({ revoked_at: this.#clock.now() })
      .where('cookie_hash', '=', cookie)
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
