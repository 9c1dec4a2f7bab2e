/** The live view: tickets that open it, and the gateway between a viewer's WebSocket and a machine's RFB server. */
import { AppError, type Clock, type Log, type Scope } from '@anteroom/base'
import type { LiveCloseReason, Ticket, Viewers } from '@anteroom/contract'
import type { RfbEndpoint } from '@anteroom/rfb'
import type { ServerOptions, WebSocket } from 'ws'
import type { Audit } from '../audit/audit.ts'
import type { Config } from '../config.ts'
import type { Events } from '../events/events.ts'
import { type Reach, requireReached, type Store } from '../store/store.ts'
import { Audience } from './audience.ts'
import { serveView } from './gateway.ts'
import { isPainted } from './is-painted.ts'
import { Tickets } from './tickets.ts'

export type { RfbEndpoint } from '@anteroom/rfb'

export type LiveAccess = 'control' | 'view'

/** What the operator allows, each direction apart. A viewer without control has neither clipboard nor size, whatever this says. */
export type LivePolicy = Config['live']

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
  readonly viewerId: string
}

export interface Live {
  /** @throws AppError control_needs_consent, viewers_full */
  issueTicket(sessionId: string, order: TicketOrder): Promise<Ticket>
  /**
   * Uses the ticket up.
   * @throws AppError ticket_invalid, the same for unknown, used, late, revoked, another session's, another cookie's, another origin's;
   *   control_needs_consent, viewers_full, for what has changed since it was issued
   */
  redeemTicket(sessionId: string, use: TicketUse): Promise<Admission>
  /**
   * Serves RFB 3.8 (security type None) on `socket` from the machine; resolves when it is closed. Never rejects. Who opens the
   * view with control takes it from whoever had it: the same person's other window is closed, somebody who was handed it looks on
   * again. When `withdrawn` aborts it is closed as if its ticket had been revoked.
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
  /** Who sees the screen now, told to `asker`. */
  audience(sessionId: string, asker: Holder): Promise<Viewers>
  /** Whoever looks on asks for keyboard and mouse. @throws AppError viewer_gone, forbidden, rate_limited */
  askForControl(sessionId: string, viewerId: string, asker: Holder): Promise<void>
  /** Hands keyboard and mouse to a view (that of `by` too, to have them back), or leaves them. @throws AppError forbidden, viewer_gone */
  answerControl(sessionId: string, viewerId: string, give: boolean, by: Holder): Promise<void>
  of(reach: Reach): ReachedLive
  /** Number of open sockets. */
  viewers(sessionId: string): number
  /** undefined: nobody with control has opened the view since this process began. */
  presenceOf(sessionId: string): Presence | undefined
  /** Has the screen been painted (more than one colour over most of it)? undefined while RFB does not answer. */
  isPainted(endpoint: RfbEndpoint, scope: Scope): Promise<boolean | undefined>
}

/** The same, of sessions within somebody's reach. @throws AppError not_found */
export type ReachedLive = Pick<Live, 'issueTicket' | 'close' | 'audience' | 'askForControl' | 'answerControl'>

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
  readonly audit: Pick<Audit, 'record' | 'recordAlone'>
  readonly events: Pick<Events, 'append' | 'notify'>
  readonly log: Log
  readonly policy: LivePolicy
  /** Where people reach the controller; asked each time, because the port may be known only after listening. */
  readonly publicUrl: () => string
}

export function createLive(parts: LiveParts): Live {
  const { store, clock, events, audit, log, policy } = parts
  const tickets = new Tickets(parts)
  const presence = new Map<string, Presence>()
  const audience = new Audience(clock, policy.max_viewers, (sessionId, company) => {
    store
      .transaction((tx) => events.append(tx, sessionId, 'viewer', { ...company }))
      .then(
        () => events.notify(sessionId),
        // Pages ask again every few seconds.
        (error: unknown) => log.warn({ session: sessionId, error }, 'who looks on could not be told'),
      )
  })

  /** What has changed since a ticket was issued counts when it is used, too. */
  async function requireRoom(sessionId: string, access: LiveAccess, { principal }: Holder): Promise<void> {
    if (access === 'view' && audience.isFull(sessionId)) throw new AppError('viewers_full')
    if (access === 'control' && !(await tickets.isOwner(sessionId, principal)))
      throw new AppError('control_needs_consent')
  }

  const live: Live = {
    async issueTicket(sessionId, order) {
      await requireRoom(sessionId, order.access, order.holder)
      return await tickets.issue(sessionId, order)
    },
    async redeemTicket(sessionId, use) {
      const admission = await tickets.redeem(sessionId, use)
      await requireRoom(sessionId, admission.access, admission.holder)
      return admission
    },
    async serve(admission, endpoint, socket, scope, withdrawn) {
      const { sessionId } = admission
      const view = audience.enter(admission)
      const withdraw = (): void => view.stop('ticket_revoked')
      withdrawn?.addEventListener('abort', withdraw)
      if (withdrawn?.aborted) withdraw()
      // Revoked after it was redeemed and before the view was among those that are closed.
      void tickets.isRevoked(admission.ticket).then(
        (isRevoked) => isRevoked && view.stop('ticket_revoked'),
        () => view.stop('machine_lost'),
      )
      const note = (input: Pick<Presence, 'inputAt'>): void => {
        if (view.isStopped || view.access !== 'control') return
        presence.set(sessionId, { openedAt: clock.now(), ...presence.get(sessionId), ...input })
      }
      const onOpen = (): void => {
        note({ inputAt: presence.get(sessionId)?.inputAt })
        audience.show(sessionId, view)
      }
      const onInput = (): void => note({ inputAt: clock.now() })
      await serveView(Object.assign(view, { endpoint, socket, policy, onOpen, onInput }), scope)
      audience.leave(sessionId, view)
    },
    async close(sessionId, reason) {
      // The sockets first: they close even where the database does not answer. And again, for who came in meanwhile.
      const stopAll = (): void => {
        for (const view of audience.of(sessionId)) view.stop(reason)
      }
      stopAll()
      if (reason !== 'ticket_revoked') presence.delete(sessionId)
      await tickets.revokeAll(sessionId, reason)
      stopAll()
    },
    async revokeOfCookie(cookie) {
      // The tickets first: nobody comes in by one while the views are closed.
      await tickets.revokeOfCookie(cookie)
      for (const view of audience.all()) if (view.holder.cookie === cookie) view.stop('ticket_revoked')
    },
    audience: async (sessionId, asker) => ({
      viewers: audience.list(sessionId, asker),
      max_viewers: policy.max_viewers,
    }),
    async askForControl(sessionId, viewerId, asker) {
      audience.ask(sessionId, viewerId, asker)
      const target = { kind: 'session', id: sessionId } as const
      await audit.recordAlone({ action: 'control.asked', target, details: { viewer_id: viewerId } })
    },
    async answerControl(sessionId, viewerId, give, by) {
      if (!(await tickets.isOwner(sessionId, by.principal)))
        throw new AppError('forbidden', { detail: 'Only whoever the screen belongs to gives control away.' })
      audience.require(sessionId, viewerId)
      const details = { viewer_id: viewerId, give }
      // Before: what nobody could write down is not given away.
      await audit.recordAlone({ action: 'control.answered', target: { kind: 'session', id: sessionId }, details })
      audience.answer(sessionId, viewerId, give)
    },
    presenceOf: (sessionId) => presence.get(sessionId),
    viewers: (sessionId) => audience.of(sessionId).length,
    isPainted,
    of(reach) {
      const within = async <T>(sessionId: string, act: () => Promise<T>): Promise<T> => {
        await requireReached(store.db, reach, 'sessions', sessionId)
        return await act()
      }
      return {
        issueTicket: (id, order) => within(id, () => live.issueTicket(id, order)),
        close: (id, reason) => within(id, () => live.close(id, reason)),
        audience: (id, asker) => within(id, () => live.audience(id, asker)),
        askForControl: (id, viewerId, asker) => within(id, () => live.askForControl(id, viewerId, asker)),
        answerControl: (id, viewerId, give, by) => within(id, () => live.answerControl(id, viewerId, give, by)),
      }
    },
  }
  return live
}
