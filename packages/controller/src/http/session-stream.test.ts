import type { SessionEvent } from '@anteroom/contract'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock } from '../live/live.fixture.ts'
import { sessionStream } from './session-stream.ts'

const event = (seq: number): SessionEvent => ({
  ...{ seq, session_id: `ses_${'a'.repeat(24)}`, type: 'stage' },
  ...{ at: '2026-11-24T10:00:00.000Z', data: {} },
})

/** Events that come when they are told to. */
class Source implements AsyncIterable<SessionEvent> {
  #next = Promise.withResolvers<IteratorResult<SessionEvent>>()
  isLeft = false
  emit(value: SessionEvent): void {
    this.#next.resolve({ value, done: false })
  }
  fail(error: Error): void {
    this.#next.reject(error)
  }
  [Symbol.asyncIterator](): AsyncIterator<SessionEvent> {
    return {
      next: async () => {
        const result = await this.#next.promise
        this.#next = Promise.withResolvers()
        return result
      },
      return: async () => {
        this.isLeft = true
        return { value: undefined, done: true }
      },
    }
  }
}

let clock: ManualClock
let source: Source
let gone: AbortController
let stream: AsyncGenerator<string>
beforeEach(async () => {
  clock = new ManualClock()
  source = new Source()
  gone = new AbortController()
  stream = sessionStream(source, clock, gone.signal)
  expect((await stream.next()).value).toBe('retry: 1000\n\n')
})
afterEach(() => gone.abort())

const next = async (): Promise<string | undefined> => {
  const { value, done } = await stream.next()
  return done ? undefined : value
}

test('a comment comes after fifteen seconds without an event, and again after the next fifteen', async () => {
  const first = next()
  await clock.pass(15)
  expect(await first).toBe(': still here\n\n')
  const second = next()
  await clock.pass(15)
  expect(await second).toBe(': still here\n\n')
})

test('the fifteen seconds begin anew with each event', async () => {
  await clock.pass(10)
  const told = next()
  source.emit(event(1))
  expect(await told).toMatch(/^id: 1\nevent: session\ndata: {.*}\n\n$/)
  let quiet: string | undefined
  const waiting = next().then((text) => {
    quiet = text
  })
  await clock.pass(14)
  expect(quiet).toBeUndefined()
  await clock.pass(1)
  await waiting
  expect(quiet).toBe(': still here\n\n')
})

test('an event that comes while a comment is written is not lost', async () => {
  const comment = next()
  await clock.pass(15)
  expect(await comment).toBe(': still here\n\n')
  source.emit(event(1))
  expect(await next()).toContain('id: 1\n')
  const second = next()
  source.emit(event(2))
  expect(await second).toContain('id: 2\n')
})

test('ends when the client is gone, leaves the events and sets no timer any more', async () => {
  const last = next()
  gone.abort()
  expect(await last).toBeUndefined()
  expect(source.isLeft).toBe(true)
  expect(clock.waiting).toBe(0)
})

test('ends with the error of the events, and sets no timer any more', async () => {
  const last = next()
  source.fail(new Error('the store is gone'))
  await expect(last).rejects.toThrow('the store is gone')
  expect(source.isLeft).toBe(true)
  expect(clock.waiting).toBe(0)
})
