/** The live view: tickets that open it, and the gateway between a viewer's WebSocket and a machine's RFB server. */
import type { Clock, Scope } from '@anteroom/base'
import type { LiveCloseReason, Ticket } from '@anteroom/contract'
import type { RfbEndpoint } from '@anteroom/rfb'
import type { ServerOptions, WebSocket } from 'ws'
import type { Store } from '../store/store.ts'
import { serveView } from './gateway.ts'
import { isPainted } from './is-painted.ts'
import { Tickets } from './tickets.ts'

export type { RfbEndpoint } from '@anteroom/rfb'

export type LiveAccess = 'control' | 'view'

export interface Live {
  issueTicket(sessionId: string, access: LiveAccess, ttlSeconds: number): Promise<Ticket>
  /** Uses the ticket up. @throws AppError ticket_invalid (the same for unknown, used, late, revoked, another session's) */
  redeemTicket(sessionId: string, ticket: string): Promise<LiveAccess>
  /** Serves RFB 3.8 (security type None) on `socket` from the machine; resolves when it is closed. Never rejects. */
  serve(sessionId: string, access: LiveAccess, endpoint: RfbEndpoint, socket: WebSocket, scope: Scope): Promise<void>
  /** Revokes every ticket of the session and closes its sockets with the reason. */
  close(sessionId: string, reason: LiveCloseReason): Promise<void>
  /** Number of open sockets. */
  viewers(sessionId: string): number
  /** Has the screen been painted (more than one colour over most of it)? undefined while RFB does not answer. */
  isPainted(endpoint: RfbEndpoint, scope: Scope): Promise<boolean | undefined>
}

/** What the WebSocket server in front of `serve` must be like. */
export const webSocketOptions = {
  /** noVNC's largest message is a pasted clipboard. */
  maxPayload: 2 * 1024 * 1024,
  // The screen is compressed already.
  perMessageDeflate: false,
  handleProtocols: (offered) => (offered.has('binary') ? 'binary' : false),
} as const satisfies ServerOptions

export interface LiveParts {
  readonly store: Store
  readonly clock: Clock
  /** Where people reach the controller; asked each time, because the port may be known only after listening. */
  readonly publicUrl: () => string
}

export function createLive({ store, clock, publicUrl }: LiveParts): Live {
  const tickets = new Tickets(store, clock, publicUrl)
  const views = new Map<string, Set<(reason: LiveCloseReason) => void>>()

  return {
    issueTicket: (sessionId, access, ttlSeconds) => tickets.issue(sessionId, access, ttlSeconds),
    redeemTicket: (sessionId, ticket) => tickets.redeem(sessionId, ticket),
    async serve(sessionId, access, endpoint, socket, scope) {
      const { promise: stopped, resolve: stop } = Promise.withResolvers<LiveCloseReason>()
      const ofSession = views.get(sessionId) ?? new Set()
      views.set(sessionId, ofSession.add(stop))
      await serveView({ access, endpoint, socket, stopped }, scope)
      ofSession.delete(stop)
      if (ofSession.size === 0) views.delete(sessionId)
    },
    async close(sessionId, reason) {
      // The sockets first: they close even where the database does not answer.
      for (const stop of views.get(sessionId) ?? []) stop(reason)
      await tickets.revokeAll(sessionId)
    },
    viewers: (sessionId) => views.get(sessionId)?.size ?? 0,
    isPainted,
  }
}
