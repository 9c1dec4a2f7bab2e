import { AnteroomError } from './anteroom-error.ts'
import { eventData } from './event-data.ts'
import { pause } from './pause.ts'
import type { SessionEvent } from './resources.ts'
import type { Transport } from './transport.ts'

/** The controller says something every 15 seconds; who is silent for three times of it is gone. */
const silenceMs = 45_000
const firstPauseMs = 1000
const longestPauseMs = 10_000
/** Together about a minute: longer than a controller takes to start again. */
const mostFailures = 10

const hasEnded = ({ type, data }: SessionEvent): boolean => type === 'status' && data.status === 'ended'

/** Every event after the given one, each once, to the end of the session; a connection that breaks is opened again. */
export async function* sessionEvents(
  transport: Transport,
  id: string,
  after: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<SessionEvent, void, undefined> {
  let last = after
  for (let failures = 0; ; ) {
    try {
      for await (const event of connection(transport, id, last, signal)) {
        failures = 0
        last = event.seq
        yield event
        if (hasEnded(event)) return
      }
    } catch (error) {
      signal?.throwIfAborted()
      const passes = error instanceof AnteroomError && error.retryable
      if (!passes || failures === mostFailures) throw error
    }
    await pause(Math.min(firstPauseMs * 1.5 ** failures, longestPauseMs), signal)
    failures++
  }
}

async function* connection(
  transport: Transport,
  id: string,
  last: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<SessionEvent> {
  const over = new AbortController()
  const fail = (): void =>
    over.abort(new AnteroomError('controller_unreachable', { detail: `the events of ${id} fell silent` }))
  let silence = setTimeout(fail, silenceMs)
  try {
    const stream = await transport.stream(signal ? AbortSignal.any([signal, over.signal]) : over.signal, (fetch) =>
      transport.api.GET('/v1/sessions/{id}/events', {
        params: { path: { id }, header: { 'last-event-id': String(last) } },
        parseAs: 'stream',
        fetch,
      }),
    )
    const heard = (): void => {
      clearTimeout(silence)
      silence = setTimeout(fail, silenceMs)
    }
    for await (const data of eventData(stream, heard)) yield JSON.parse(data) as SessionEvent
  } catch (cause) {
    if (cause instanceof AnteroomError) throw cause
    throw new AnteroomError('controller_unreachable', { detail: `the events of ${id} broke off`, cause })
  } finally {
    clearTimeout(silence)
    over.abort()
  }
}
