import type { Clock } from '@anteroom/base'
import type { SessionEvent } from '@anteroom/contract'

/** Well under the idle timeouts of common reverse proxies (nginx: 60 s). */
const keepAliveMs = 15_000

const comment = ': still here\n\n'
const frame = (event: SessionEvent): string => `id: ${event.seq}\nevent: session\ndata: ${JSON.stringify(event)}\n\n`

/** Events as a `text/event-stream` (WHATWG HTML, section 9.2), with a comment whenever nothing happened for a while. */
export async function* sessionStream(
  events: AsyncIterable<SessionEvent>,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const iterator = events[Symbol.asyncIterator]()
  const silence = new Silence(clock, signal)
  // Sent at once, so that the headers go out before the first event.
  yield 'retry: 1000\n\n'
  try {
    let next = iterator.next()
    for (;;) {
      const result = await silence.or(next)
      if (signal.aborted) return
      if (result === 'silence') {
        yield comment
        continue
      }
      if (result.done) return
      yield frame(result.value)
      next = iterator.next()
    }
  } finally {
    silence.end()
    await iterator.return?.()
  }
}

/** Notices that nothing came for `keepAliveMs`. One timer for many events: one for each would cost more than the event itself. */
class Silence {
  readonly #clock: Clock
  readonly #over = new AbortController()
  readonly #signal: AbortSignal
  #heardAt: number
  #break: () => void = () => {}

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock
    this.#signal = AbortSignal.any([signal, this.#over.signal])
    this.#heardAt = clock.monotonic()
    void this.#watch()
  }

  /** What the promise gives, or `silence`; that also when the signal aborts. */
  async or<T>(promise: Promise<T>): Promise<T | 'silence'> {
    const { promise: result, resolve, reject } = Promise.withResolvers<T | 'silence'>()
    this.#break = () => resolve('silence')
    promise.then(resolve, reject)
    try {
      return await result
    } finally {
      this.#heardAt = this.#clock.monotonic()
      this.#break = () => {}
    }
  }

  end(): void {
    this.#over.abort('the stream is over')
  }

  async #watch(): Promise<void> {
    while (!this.#signal.aborted) {
      const left = this.#heardAt + keepAliveMs - this.#clock.monotonic()
      if (left <= 0) this.#break()
      await this.#clock.delay(left > 0 ? left : keepAliveMs, this.#signal)
    }
    this.#break()
  }
}
