import type { Scope } from '@anteroom/base'
import { type SessionEvent, sessionEvent } from '@anteroom/contract'

/** Events of a session as they come, the past ones first. Over when the scope is, or the server ends the stream. */
export async function* sessionEvents(
  url: string,
  sessionId: string,
  headers: Readonly<Record<string, string>>,
  scope: Scope,
): AsyncGenerator<SessionEvent> {
  const response = await fetch(`${url}/v1/sessions/${sessionId}/events`, { headers, signal: scope.signal })
  if (!response.ok || !response.body) throw new Error(`events of ${sessionId}: ${response.status}`)
  let rest = ''
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const frames = (rest + text).split('\n\n')
    rest = frames.pop() ?? ''
    for (const frame of frames) {
      const data = /^data: (.*)$/m.exec(frame)?.[1]
      if (data !== undefined) yield sessionEvent.parse(JSON.parse(data))
    }
  }
}

/** Resolves at the first event that `holds`. @throws Error when the session ends before */
export async function untilEvent(
  events: AsyncIterable<SessionEvent>,
  holds: (event: SessionEvent) => boolean,
): Promise<SessionEvent> {
  for await (const event of events) {
    if (holds(event)) return event
    if (event.type === 'status' && event.data.status === 'ended')
      throw new Error(`session ${event.session_id} ended: ${JSON.stringify(event.data)}`)
  }
  throw new Error('the events ended')
}

export const isStatus =
  (status: string) =>
  ({ type, data }: SessionEvent): boolean =>
    type === 'status' && data.status === status
