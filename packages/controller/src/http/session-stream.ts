import type { Clock } from '@anteroom/base'
import type { SessionEvent } from '@anteroom/contract'

/** Well under the idle timeouts of common reverse proxies (nginx: 60 s). */
const keepAliveMs = 15_000

const frame = (event: SessionEvent): string => `id: ${event.seq}\nevent: session\ndata: ${JSON.stringify(event)}\n\n`

/** Events as a `text/event-stream` (WHATWG HTML, section 9.2), with a comment whenever nothing happened for a while. */
export async function* sessionStream(
  events: AsyncIterable<SessionEvent>,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const iterator = events[Symbol.asyncIterator]()
  // Sent at once, so that the headers go out before the first event.
  yield 'retry: 1000\n\n'
  try {
    let next = iterator.next()
    while (!signal.aborted) {
      const result = await orSilence(next, clock, signal)
      if (result === 'silence') {
        yield ': still here\n\n'
        continue
      }
      if (result.done) return
      yield frame(result.value)
      next = iterator.next()
    }
  } finally {
    await iterator.return?.()
  }
}

async function orSilence<T>(next: Promise<T>, clock: Clock, signal: AbortSignal): Promise<T | 'silence'> {
  const waiting = new AbortController()
  try {
    return await Promise.race([
      next,
      clock.delay(keepAliveMs, AbortSignal.any([signal, waiting.signal])).then(() => 'silence' as const),
    ])
  } finally {
    waiting.abort()
  }
}
