import type { Scope } from '@anteroom/base'
import type { LiveCloseReason, Ticket } from '@anteroom/contract'
import type { WebSocket } from 'ws'

/** Where a machine's RFB server listens, and its VncAuth password. */
export interface RfbEndpoint {
  readonly ip: string
  readonly port: number
  readonly password: string
}

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
