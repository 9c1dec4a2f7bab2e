import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import type { Scope } from '@anteroom/base'
import type { CreatedSession, SessionEvent, Ticket } from '@anteroom/contract'
import { createWebSocketStream, WebSocket } from 'ws'
import { isStatus, sessionEvents, untilEvent } from './session-events.ts'

/** What the account owner's browser does with the link: no picture is drawn here, the requests are the page's. */
export class PageVisit {
  readonly #url: string
  readonly #id: string
  readonly #headers: Readonly<Record<string, string>>

  private constructor(url: string, id: string, cookie: string) {
    this.#url = url
    this.#id = id
    this.#headers = { ...pageHeaders, cookie }
  }

  /** Opens the link, trades its secret for the cookie, and agrees. */
  static async enter({ id, hosted_url }: CreatedSession, scope: Scope): Promise<PageVisit> {
    const { origin, pathname, hash } = new URL(hosted_url)
    await answered(await fetch(origin + pathname, { signal: scope.signal }))
    const secret = new URLSearchParams(hash.slice(1)).get('entry')
    const entry = await post(`${origin}/v1/sessions/${id}/entry`, { secret }, pageHeaders, scope)
    const cookie = entry.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    await post(`${origin}/v1/sessions/${id}/agree`, {}, { ...pageHeaders, cookie }, scope)
    return new PageVisit(origin, id, cookie)
  }

  events(scope: Scope): AsyncGenerator<SessionEvent> {
    return sessionEvents(this.#url, this.#id, this.#headers, scope)
  }

  async untilReady(scope: Scope): Promise<void> {
    await untilEvent(this.events(scope), isStatus('ready'))
  }

  /** The live view's connection; the next message is the server's RFB version. Closed when the scope is over. */
  async live(scope: Scope): Promise<Duplex> {
    const answer = await post(
      `${this.#url}/v1/sessions/${this.#id}/tickets`,
      { access: 'control' },
      this.#headers,
      scope,
    )
    const { cookie = '' } = this.#headers
    const socket = new WebSocket(((await answer.json()) as Ticket).url, ['binary'], { headers: { cookie } })
    scope.defer(() => socket.terminate())
    const stream = createWebSocketStream(socket)
    await scope.race(once(socket, 'open'))
    return stream
  }
}

const pageHeaders = { 'x-anteroom-request': '1' }

async function post(url: string, body: unknown, headers: Readonly<Record<string, string>>, scope: Scope) {
  const sent = { 'content-type': 'application/json', ...headers }
  return await answered(
    await fetch(url, { method: 'POST', headers: sent, body: JSON.stringify(body), signal: scope.signal }),
  )
}

async function answered(response: Response): Promise<Response> {
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`)
  return response
}
