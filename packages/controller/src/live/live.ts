/** The live view: tickets that open it, and the gateway between a viewer's WebSocket and a machine's RFB server. */
import type { Clock, Scope } from '@anteroom/base'
import type { LiveCloseReason, Ticket } from '@anteroom/contract'
import type { RfbEndpoint } from '@anteroom/rfb'
import type { ServerOptions, WebSocket } from 'ws'
import type { Audit } from '../audit/audit.ts'
import { type Reach, requireReached, type Store } from '../store/store.ts'
import { serveView } from './gateway.ts'
import { isPainted } from './is-painted.ts'
import { Tickets } from './tickets.ts'

export type { RfbEndpoint } from '@anteroom/rfb'

export type LiveAccess = 'control' | 'view'

/** Of whoever has control of a session, in one view or several. */
export interface Presence {
  /** When the view was first opened. A view that is cut opens itself again: that says nothing about a person. */
  readonly openedAt: number
  /** When they last typed, pointed or pasted. */
  readonly inputAt: number | undefined
}

/** A key, and which of its secrets, by which a ticket was asked for: its view lasts no longer than that. */
export interface AskedBy {
  readonly id: string
  readonly hash: string
}

/** Whose a ticket and its view are. */
export interface Holder {
  /** Who asked for the ticket: an API key's id, `operator`, `visitor` and the session. */
  readonly principal: string
  /** Hash of the cookie that asked for it, and that alone may use it; null: for whoever it is handed to. */
  readonly cookie: string | null
  readonly key: AskedBy | null
}

export interface TicketOrder {
  readonly access: LiveAccess
  readonly ttlSeconds: number
  readonly holder: Holder
  /** Of the only page that may use it; left out: this controller's own pages, and programs. */
  readonly origin?: string
}

export interface TicketUse {
  readonly ticket: string
  /** Hashes of the cookies in force that came along. */
  readonly cookies: readonly string[]
  /** Of the page that presents it, unless it is this controller's own. */
  readonly origin?: string
  /** It was used before, by the cookie that it belongs to: its time may be over, but it must not be revoked. */
  readonly isReconnect: boolean
}

/** What a redeemed ticket admits to. */
export interface Admission {
  readonly sessionId: string
  readonly access: LiveAccess
  readonly holder: Holder
  /** Hash of the ticket. */
  readonly ticket: string
}

export interface Live {
  issueTicket(sessionId: string, order: TicketOrder): Promise<Ticket>
  /**
   * Uses the ticket up.
   * @throws AppError ticket_invalid, the same for unknown, used, late, revoked, another session's, another cookie's, another origin's
   */
  redeemTicket(sessionId: string, use: TicketUse): Promise<Admission>
  /**
   * Serves RFB 3.8 (security type None) on `socket` from the machine; resolves when it is closed. Never rejects. Who opens the
   * view with control takes it from whoever had it, and they are told; lookers-on stay. When `withdrawn` aborts it is closed as
   * if its ticket had been revoked.
   */
  serve(
    admission: Admission,
    endpoint: RfbEndpoint,
    socket: WebSocket,
    scope: Scope,
    withdrawn?: AbortSignal,
  ): Promise<void>
  /** Revokes every ticket of the session and closes its sockets with the reason. */
  close(sessionId: string, reason: LiveCloseReason): Promise<void>
  /** The same for all that belongs to a cookie (by its hash) that is in force no more. */
  revokeOfCookie(cookie: string): Promise<void>
  of(reach: Reach): ReachedLive
  /** Number of open sockets. */
  viewers(sessionId: string): number
  /** undefined: nobody with control has opened the view since this process began. */
  presenceOf(sessionId: string): Presence | undefined
  /** Has the screen been painted (more than one colour over most of it)? undefined while RFB does not answer. */
  isPainted(endpoint: RfbEndpoint, scope: Scope): Promise<boolean | undefined>
}

/** The same, of sessions within somebody's reach. @throws AppError not_found */
export type ReachedLive = Pick<Live, 'issueTicket' | 'close'>

/** What the WebSocket server in front of `serve` must be like. */
export const webSocketOptions = {
  /** noVNC's largest message is a pasted clipboard. */
  maxPayload: 2 * 1024 * 1024,
  // The screen is compressed already.
  perMessageDeflate: false,
  handleProtocols: (offered) => (offered.has('binary') ? 'binary' : false),
} as const satisfies ServerOptions

interface OpenView extends Pick<Admission, 'access' | 'holder'> {
  stop(reason: LiveCloseReason): void
}

export interface LiveParts {
  readonly store: Store
  readonly clock: Clock
  readonly audit: Pick<Audit, 'record'>
  /** Where people reach the controller; asked each time, because the port may be known only after listening. */
  readonly publicUrl: () => string
}

export function createLive(parts: LiveParts): Live {
  const { clock } = parts
  const tickets = new Tickets(parts)
  const views = new Map<string, Set<OpenView>>()
  const presence = new Map<string, Presence>()

  const live: Live = {
    issueTicket: (sessionId, order) => tickets.issue(sessionId, order),
    redeemTicket: (sessionId, use) => tickets.redeem(sessionId, use),
    async serve({ sessionId, access, holder, ticket }, endpoint, socket, scope, withdrawn) {
      const { promise: stopped, resolve } = Promise.withResolvers<LiveCloseReason>()
      let isStopped = false
      const view: OpenView = {
        access,
        holder,
        stop: (reason) => {
          isStopped = true
          resolve(reason)
        },
      }
      const withdraw = (): void => view.stop('ticket_revoked')
      withdrawn?.addEventListener('abort', withdraw)
      if (withdrawn?.aborted) withdraw()
      const ofSession = views.get(sessionId) ?? new Set()
      views.set(sessionId, ofSession.add(view))
      // Revoked after it was redeemed and before the view was among those that are closed.
      void tickets.isRevoked(ticket).then(
        (isRevoked) => isRevoked && view.stop('ticket_revoked'),
        () => view.stop('machine_lost'),
      )
      const note = (input: Pick<Presence, 'inputAt'>): void => {
        if (isStopped || access !== 'control') return
        presence.set(sessionId, { openedAt: clock.now(), ...presence.get(sessionId), ...input })
      }
      const onOpen = (): void => {
        note({ inputAt: presence.get(sessionId)?.inputAt })
        if (access !== 'control') return
        for (const other of ofSession) if (other !== view && other.access === 'control') other.stop('replaced')
      }
      const onInput = (): void => note({ inputAt: clock.now() })
      await serveView({ access, endpoint, socket, stopped, onOpen, onInput }, scope)
      ofSession.delete(view)
      if (ofSession.size === 0) views.delete(sessionId)
    },
    async close(sessionId, reason) {
      // The sockets first: they close even where the database does not answer. And again, for who came in meanwhile.
      const stopAll = (): void => views.get(sessionId)?.forEach((view) => void view.stop(reason))
      stopAll()
      if (reason !== 'ticket_revoked') presence.delete(sessionId)
      await tickets.revokeAll(sessionId, reason)
      stopAll()
    },
    async revokeOfCookie(cookie) {
      // The tickets first: nobody comes in by one while the views are closed.
      await tickets.revokeOfCookie(cookie)
      for (const ofSession of views.values())
        for (const view of ofSession) if (view.holder.cookie === cookie) view.stop('ticket_revoked')
    },
    presenceOf: (sessionId) => presence.get(sessionId),
    viewers: (sessionId) => views.get(sessionId)?.size ?? 0,
    isPainted,
    of: (reach) => ({
      async issueTicket(sessionId, order) {
        await requireReached(parts.store.db, reach, 'sessions', sessionId)
        return await live.issueTicket(sessionId, order)
      },
      async close(sessionId, reason) {
        await requireReached(parts.store.db, reach, 'sessions', sessionId)
        await live.close(sessionId, reason)
      },
    }),
  }
  return live
}
