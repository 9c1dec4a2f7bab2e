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

/** A key, and which of its secrets, by which a ticket was asked for: its view lasts no longer than that. */
export interface AskedBy {
  readonly id: string
  readonly hash: string
}

export interface Redeemed {
  readonly access: LiveAccess
  /** null: nobody with a key. */
  readonly by: AskedBy | null
}

/** Of whoever has control of a session, in one view or several. */
export interface Presence {
  /** When the view was first opened. A view that is cut opens itself again: that says nothing about a person. */
  readonly openedAt: number
  /** When they last typed, pointed or pasted. */
  readonly inputAt: number | undefined
}

export interface Live {
  issueTicket(sessionId: string, access: LiveAccess, ttlSeconds: number, by?: AskedBy | null): Promise<Ticket>
  /** Uses the ticket up. @throws AppError ticket_invalid (the same for unknown, used, late, revoked, another session's) */
  redeemTicket(sessionId: string, ticket: string): Promise<Redeemed>
  /**
   * Serves RFB 3.8 (security type None) on `socket` from the machine; resolves when it is closed. Never rejects. Who opens the
   * view with control takes it from whoever had it, and they are told; lookers-on stay. When `withdrawn` aborts it is closed as
   * if its ticket had been revoked.
   */
  serve(
    sessionId: string,
    access: LiveAccess,
    endpoint: RfbEndpoint,
    socket: WebSocket,
    scope: Scope,
    withdrawn?: AbortSignal,
  ): Promise<void>
  /** Revokes every ticket of the session and closes its sockets with the reason. */
  close(sessionId: string, reason: LiveCloseReason): Promise<void>
  /** Number of open sockets. */
  viewers(sessionId: string): number
  /** undefined: nobody with control has opened the view since this process began. */
  presenceOf(sessionId: string): Presence | undefined
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

interface OpenView {
  readonly access: LiveAccess
  stop(reason: LiveCloseReason): void
}

export interface LiveParts {
  readonly store: Store
  readonly clock: Clock
  /** Where people reach the controller; asked each time, because the port may be known only after listening. */
  readonly publicUrl: () => string
}

export function createLive({ store, clock, publicUrl }: LiveParts): Live {
  const tickets = new Tickets(store, clock, publicUrl)
  const views = new Map<string, Set<OpenView>>()
  const presence = new Map<string, Presence>()

  return {
    issueTicket: (sessionId, access, ttlSeconds, by = null) => tickets.issue(sessionId, access, ttlSeconds, by),
    redeemTicket: (sessionId, ticket) => tickets.redeem(sessionId, ticket),
    async serve(sessionId, access, endpoint, socket, scope, withdrawn) {
      const { promise: stopped, resolve } = Promise.withResolvers<LiveCloseReason>()
      let isStopped = false
      const view: OpenView = {
        access,
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
      // The sockets first: they close even where the database does not answer.
      for (const view of views.get(sessionId) ?? []) view.stop(reason)
      if (reason !== 'ticket_revoked') presence.delete(sessionId)
      await tickets.revokeAll(sessionId)
    },
    presenceOf: (sessionId) => presence.get(sessionId),
    viewers: (sessionId) => views.get(sessionId)?.size ?? 0,
    isPainted,
  }
}
