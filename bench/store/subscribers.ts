import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import type { Scope } from '@anteroom/base'
import type { Edge } from './edge.ts'

/** Clients that each hold an event stream open, and say when an event has reached all of them. */
export interface Subscribers {
  /** The moment (milliseconds since 1970, with fractions) at which each has got one more event. */
  nextReachedAll(): Promise<number>
}

/** One subscriber for each id; an id may come more than once. Gone when the scope is over. */
export async function subscribe(edge: Edge, sessionIds: readonly string[], scope: Scope): Promise<Subscribers> {
  const agent = new Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY })
  scope.defer(() => agent.destroy())
  let missing = 0
  let reached = Promise.withResolvers<number>()
  const onEvents = (count: number): void => {
    missing -= count
    if (missing === 0) reached.resolve(performance.now() + performance.timeOrigin)
  }
  const streams: Stream[] = []
  // A few at a time, as they would come; the server's backlog is not what is measured.
  for (let first = 0; first < sessionIds.length; first += 50)
    streams.push(
      ...(await Promise.all(sessionIds.slice(first, first + 50).map((id) => openStream(edge, id, agent, onEvents)))),
    )
  // What had happened before is sent first; quiet is when nothing came for a while.
  await untilQuiet(streams, scope)
  return {
    nextReachedAll() {
      missing = streams.length
      reached = Promise.withResolvers()
      return scope.race(reached.promise)
    },
  }
}

interface Stream {
  events: number
}

async function openStream(edge: Edge, id: string, agent: Agent, onEvents: (count: number) => void): Promise<Stream> {
  const url = new URL(`/v1/sessions/${id}/events`, edge.url)
  const sent = request(url, { agent, headers: edge.headers() })
  sent.end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  if (response.statusCode !== 200) throw new Error(`${url.pathname}: ${response.statusCode}`)
  const stream: Stream = { events: 0 }
  let rest = ''
  response.setEncoding('utf8').on('data', (text: string) => {
    // Each frame ends with an empty line; only events begin with an id (session-stream.ts).
    const frames = (rest + text).split('\n\n')
    rest = frames.pop() ?? ''
    const count = frames.filter((frame) => frame.startsWith('id:')).length
    stream.events += count
    if (count > 0) onEvents(count)
  })
  // The end of the run cuts them.
  response.on('error', () => {})
  return stream
}

async function untilQuiet(streams: readonly Stream[], scope: Scope): Promise<void> {
  let before = -1
  await scope.until(() => {
    const events = streams.reduce((sum, stream) => sum + stream.events, 0)
    const quiet = events === before && events > 0
    before = events
    return quiet || undefined
  }, 300)
}
