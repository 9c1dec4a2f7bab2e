import { type Clock, newId, systemClock } from '@anteroom/base'
import type { SessionEvent } from '@anteroom/contract'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openStore, type Store } from '../store/store.ts'
import { createEvents, type Events } from './events.ts'

describe('Events', () => {
  let store: Store
  let events: Events
  let session: string
  const clock: Clock = { ...systemClock, now: () => Date.parse('2026-11-20T10:00:00Z') }

  beforeEach(async () => {
    store = await openStore(':memory:')
    events = createEvents({ store, clock })
    session = newId('session')
  })
  afterEach(() => store.close())

  const append = async (n: number, to = session): Promise<void> => {
    await store.transaction((tx) => events.append(tx, to, 'stage', { n }))
    events.notify(to)
  }

  /** Reads until it has `count` events, then leaves. */
  async function take(
    count: number,
    afterSeq = 0,
    onEvent?: (event: SessionEvent) => Promise<void>,
  ): Promise<unknown[]> {
    const seen: unknown[] = []
    for await (const event of events.stream(session, afterSeq, new AbortController().signal)) {
      seen.push(event.data.n)
      await onEvent?.(event)
      if (seen.length === count) break
    }
    return seen
  }

  test('gives what is stored, then what comes', async () => {
    await append(1)
    await append(2)
    const reading = take(4)
    await append(3)
    await append(4)
    expect(await reading).toEqual([1, 2, 3, 4])
  })

  test('goes on after the event that the subscriber saw last', async () => {
    for (const n of [1, 2, 3]) await append(n)
    let second = 0
    await take(2, 0, async (event) => {
      second = event.seq
    })
    expect(await take(1, second)).toEqual([3])
  })

  test('an event has its session, type, time and data', async () => {
    await append(7)
    await take(1, 0, async (event) =>
      expect(event).toEqual({
        seq: 1,
        session_id: session,
        type: 'stage',
        at: '2026-11-20T10:00:00.000Z',
        data: { n: 7 },
      }),
    )
  })

  test('a transaction that fails leaves no event', async () => {
    const failing = store.transaction(async (tx) => {
      await events.append(tx, session, 'status', {})
      throw new Error('rolled back')
    })
    await expect(failing).rejects.toThrow('rolled back')
    await append(1)
    expect(await take(1)).toEqual([1])
  })

  test('other sessions are not heard', async () => {
    const reading = take(1)
    await append(99, newId('session'))
    await append(1)
    expect(await reading).toEqual([1])
  })

  test('ends when the signal aborts: while it waits, between events, and before it begins', async () => {
    const waiting = new AbortController()
    const idle = events.stream(session, 0, waiting.signal)[Symbol.asyncIterator]()
    const next = idle.next()
    waiting.abort()
    expect(await next).toEqual({ done: true, value: undefined })

    await append(1)
    await append(2)
    const between = new AbortController()
    const seen: unknown[] = []
    for await (const event of events.stream(session, 0, between.signal)) {
      seen.push(event.data.n)
      between.abort()
    }
    expect(seen).toEqual([1])
    const none = events.stream(session, 0, AbortSignal.abort())[Symbol.asyncIterator]()
    expect((await none.next()).done).toBe(true)
  })

  test('a slow subscriber misses nothing, over more than one batch', async () => {
    for (let n = 0; n < 150; n++) await append(n)
    let more = 150
    const seen = await take(310, 0, async () => {
      if (more < 310) await append(more++)
    })
    expect(seen).toEqual(Array.from({ length: 310 }, (_, n) => n))
  })

  test('however many are woken by one ring, the table is read once', async () => {
    let reads = 0
    const db = new Proxy(store.db, {
      get(target, property) {
        if (property === 'selectFrom') reads++
        const value: unknown = Reflect.get(target, property)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    events = createEvents({ store: { ...store, db }, clock })
    await append(1)
    const reading = Array.from({ length: 200 }, () => take(2))
    await append(2)
    expect(await Promise.all(reading)).toEqual(Array.from({ length: 200 }, () => [1, 2]))
    expect(reads).toBeLessThan(6)
  })

  test('a subscriber that comes later gets what was read for others before, and what came since', async () => {
    await append(1)
    const early = take(3)
    await append(2)
    const late = take(3)
    await append(3)
    expect(await Promise.all([early, late, take(3)])).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
    ])
  })

  test('whatever the order of writes, rings and reads, every subscriber sees each event once, in order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 12 }), async (scheduler, count) => {
        session = newId('session')
        const pause = (label: string) => scheduler.schedule(Promise.resolve(), label)
        const subscribers = [1, 2, 3, 4].map(async (which) => {
          // The third comes later, and the fourth never waits.
          if (which === 3) await pause('before the third')
          return await take(count, 0, async () => (which === 4 ? undefined : await pause(`subscriber ${which}`)))
        })
        const writer = (async () => {
          for (let n = 0; n < count; n++) {
            await store.transaction((tx) => events.append(tx, session, 'stage', { n }))
            await pause('between commit and ring')
            events.notify(session)
            await pause('writer')
          }
        })()
        await scheduler.waitFor(Promise.all([writer, ...subscribers]))
        for (const seen of await Promise.all(subscribers))
          expect(seen).toEqual(Array.from({ length: count }, (_, n) => n))
      }),
      { numRuns: 50 },
    )
  })
})
