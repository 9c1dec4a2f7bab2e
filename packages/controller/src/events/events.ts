import type { Clock } from '@anteroom/base'
import { type SessionEvent, sessionEvent } from '@anteroom/contract'
import { type Reach, type Row, requireReached, type Store, type Tx } from '../store/store.ts'
import { Doorbell } from './doorbell.ts'

/** One append-only log. Events are written in the transaction of the change that they tell of. */
export interface Events {
  append(tx: Tx, sessionId: string, type: SessionEvent['type'], data: Record<string, unknown>): Promise<void>
  /** Tells live subscribers that something was committed; called after the transaction, never in it. */
  notify(sessionId: string): void
  /** All there are now. */
  all(sessionId: string): Promise<SessionEvent[]>
  /** Events after `afterSeq`, then new ones as they come, until the signal aborts. */
  stream(sessionId: string, afterSeq: number, signal: AbortSignal): AsyncIterable<SessionEvent>
  of(reach: Reach): ReachedEvents
}

/** Those of sessions within somebody's reach. */
export interface ReachedEvents {
  /** As above. @throws AppError not_found */
  stream(sessionId: string, afterSeq: number, signal: AbortSignal): Promise<AsyncIterable<SessionEvent>>
}

/** How many events a subscriber holds in memory; a slow one reads the rest from the table when it gets there. */
const batchSize = 100

export function createEvents({ store, clock }: { readonly store: Pick<Store, 'db'>; readonly clock: Clock }): Events {
  const doorbell = new Doorbell()
  /** Reads of this moment, by session. */
  const reads = new Map<string, { readonly after: number; readonly events: Promise<SessionEvent[]> }>()

  /** One ring wakes a thousand subscribers: those who stand at the same place share one read. */
  const readShared = (sessionId: string, after: number): Promise<SessionEvent[]> => {
    const known = reads.get(sessionId)
    if (known?.after === after) return known.events
    const read = { after, events: readAfter(sessionId, after) }
    reads.set(sessionId, read)
    const forget = (): void => {
      if (reads.get(sessionId) === read) reads.delete(sessionId)
    }
    // Not at once: those who were woken together have not all asked yet.
    void read.events.catch(() => {}).then(() => setImmediate(forget))
    return read.events
  }

  const readAfter = async (sessionId: string, seq: number): Promise<SessionEvent[]> => {
    // `seq` grows in the order of commits because SQLite has one writer; another store must keep this true.
    const rows = await store.db
      .selectFrom('events')
      .selectAll()
      .where('session_id', '=', sessionId)
      .where('seq', '>', seq)
      .orderBy('seq')
      .limit(batchSize)
      .execute()
    return rows.map(toEvent)
  }

  const events: Events = {
    async append(tx, sessionId, type, data) {
      await tx
        .insertInto('events')
        .values({ session_id: sessionId, type, at: clock.now(), data: JSON.stringify(data) })
        .execute()
    },

    async all(sessionId) {
      const rows = await store.db
        .selectFrom('events')
        .selectAll()
        .where('session_id', '=', sessionId)
        .orderBy('seq')
        .execute()
      return rows.map(toEvent)
    },

    notify(sessionId) {
      // A read that began before lacks what was committed since: nobody whom this wakes may be given it.
      reads.delete(sessionId)
      doorbell.ring(sessionId)
    },

    async *stream(sessionId, afterSeq, signal) {
      // Listening before the first read: what is committed during a read rings, and is read in the next round.
      const listener = doorbell.listen(sessionId)
      try {
        for (let seq = afterSeq; !signal.aborted; ) {
          const batch = await readShared(sessionId, seq)
          for (const event of batch) {
            if (signal.aborted) return
            yield event
            seq = event.seq
          }
          if (batch.length < batchSize) await listener.rung(signal)
        }
      } finally {
        listener.stop()
      }
    },

    of: (reach) => ({
      async stream(sessionId, afterSeq, signal) {
        await requireReached(store.db, reach, 'sessions', sessionId)
        return events.stream(sessionId, afterSeq, signal)
      },
    }),
  }
  return events
}

const toEvent = (row: Row<'events'>): SessionEvent =>
  sessionEvent.parse({
    seq: row.seq,
    session_id: row.session_id,
    type: row.type,
    at: new Date(row.at).toISOString(),
    data: JSON.parse(row.data),
  })
