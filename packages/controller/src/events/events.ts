import type { SessionEvent } from '@anteroom/contract'
import type { Tx } from '../store/store.ts'

/** One append-only log. Events are written in the transaction of the change that they tell of. */
export interface Events {
  append(tx: Tx, sessionId: string, type: SessionEvent['type'], data: Record<string, unknown>): Promise<void>
  /** Tells live subscribers that something was committed. */
  notify(sessionId: string): void
  /** Events after `afterSeq`, then new ones as they come, until the signal aborts. */
  stream(sessionId: string, afterSeq: number, signal: AbortSignal): AsyncIterable<SessionEvent>
}
