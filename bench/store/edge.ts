import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Scope } from '@anteroom/base'
import { startChild } from '../child.ts'

export type EdgeRequest =
  | { readonly kind: 'append'; readonly sessionIds: readonly string[] }
  | { readonly kind: 'usage' }

export type EdgeAnswer =
  | { readonly kind: 'listening'; readonly url: string; readonly keys: readonly string[] }
  /** In milliseconds since 1970, with fractions. */
  | { readonly kind: 'committed'; readonly at: number }
  | { readonly kind: 'usage'; readonly cpuMs: number }

export interface Answer {
  readonly status: number
  readonly body: unknown
  /** From before the request was written until its answer was read. */
  readonly ms: number
}

/** The controller under test, in a process of its own. */
export interface Edge {
  readonly url: string
  /** Sends one request over a kept connection. @throws Error when it is not answered with 2xx */
  call(method: 'GET' | 'POST', path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  /** Headers that say who is asking; each of several keys in turn, because each may ask only so often. */
  headers(): Record<string, string>
  /** Commits an event of each session; gives the moment of the commit. */
  append(sessionIds: readonly string[]): Promise<number>
  /** Processor time that it has used so far. */
  cpuMs(): Promise<number>
}

/** Starts it over the database in `home`; it ends with the scope. */
export async function startEdge(home: string, scope: Scope): Promise<Edge> {
  const agent = new Agent({ keepAlive: true })
  scope.defer(() => agent.destroy())
  const { child, ready } = await startChild(new URL('edge-process.ts', import.meta.url), [home], scope)
  const { url, keys } = expectKind(ready, 'listening')
  let turn = 0
  const headers = (): Record<string, string> => ({ authorization: `Bearer ${keys[turn++ % keys.length]}` })
  return {
    url,
    headers,
    call: (method, path, body, more) =>
      send(agent, new URL(path, url), { method, headers: { ...headers(), ...more }, body }),
    append: async (sessionIds) => expectKind(await child.ask({ kind: 'append', sessionIds }), 'committed').at,
    cpuMs: async () => expectKind(await child.ask({ kind: 'usage' }), 'usage').cpuMs,
  }
}

function expectKind<K extends EdgeAnswer['kind']>(message: unknown, kind: K): Extract<EdgeAnswer, { kind: K }> {
  const answer = message as EdgeAnswer
  if (answer.kind !== kind) throw new Error(`the edge answered ${answer.kind}, not ${kind}`)
  return answer as Extract<EdgeAnswer, { kind: K }>
}

interface Sent {
  readonly method: string
  readonly headers: Record<string, string>
  readonly body: unknown
}

async function send(agent: Agent, url: URL, { method, headers, body }: Sent): Promise<Answer> {
  const content = body === undefined ? undefined : JSON.stringify(body)
  const startedAt = performance.now()
  const sent = request(url, {
    agent,
    method,
    headers: {
      ...headers,
      ...(content !== undefined && {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(content),
      }),
    },
  })
  sent.end(content)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  const answer = await text(response)
  const ms = performance.now() - startedAt
  const status = response.statusCode ?? 0
  if (status < 200 || status > 299) throw new Error(`${method} ${url.pathname}: ${status} ${answer}`)
  return { status, ms, body: answer === '' ? undefined : JSON.parse(answer) }
}
