import type { CreatedSession, CreateSession, Outcome, Session, SessionStatus } from '@anteroom/contract'
import type { RfbEndpoint } from '../live/live.ts'

export interface SessionFilter {
  readonly status?: SessionStatus
  readonly provider?: string
  readonly subject?: string
  readonly cursor?: string
  readonly limit: number
}

/** One attempt to sign in. These write intent; the reconciler acts. */
export interface Sessions {
  /** Answers at once; never waits for a machine. @throws AppError provider_unknown, provider_invalid, capacity_exhausted, idempotency_conflict, image_missing */
  create(
    request: CreateSession,
    options: { readonly principal: string; readonly idempotencyKey?: string },
  ): Promise<CreatedSession>
  /** @throws AppError not_found */
  get(id: string): Promise<Session>
  list(filter: SessionFilter): Promise<{ items: Session[]; next_cursor: string | null }>
  /** Idempotent; no effect on an ended session. */
  requestEnd(id: string, outcome: Extract<Outcome, 'cancelled' | 'expired'>): Promise<Session>
  /** "I am signed in". @throws AppError session_not_ready, session_over */
  requestCapture(id: string): Promise<Session>
  /** Where the live view connects. @throws AppError session_not_ready, session_over */
  rfbEndpoint(id: string): Promise<RfbEndpoint>
}
