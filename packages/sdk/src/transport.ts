import createClient, { type Client } from 'openapi-fetch'
import { AnteroomError, errorOf } from './anteroom-error.ts'
import type { paths } from './openapi.gen.ts'
import { pause } from './pause.ts'

export interface AnteroomOptions {
  /** Where the controller is, for example `http://127.0.0.1:4400`. */
  readonly url: string
  /** An API key, `ark_…`. */
  readonly key: string
  /** How often a request is sent again that may succeed then; 2 unless said otherwise. */
  readonly retries?: number
  /** For one answer; 30 seconds unless said otherwise. */
  readonly timeoutMs?: number
  /** Instead of the global one, for example to go through a proxy. */
  readonly fetch?: (request: Request, init?: RequestInit) => Promise<Response>
}

export interface CallOptions {
  /** Ends the call; it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number | undefined
}

export interface CreateOptions extends CallOptions {
  /**
   * The same key with the same request gives the same session, for a day. Left out, each call has one of its own, so that sending it
   * again after a connection broke does not create twice; give yours where your own program may repeat the call.
   */
  readonly idempotencyKey?: string
}

type Send = (request: Request) => Promise<Response>

/** Longer waits are the caller's decision. */
const longestWaitSeconds = 30
const firstPauseMs = 250

export class Transport {
  readonly api: Client<paths>
  readonly #options: Required<AnteroomOptions>

  constructor(options: AnteroomOptions) {
    // Called as a function of the global object: browsers refuse it as a method of another one.
    this.#options = { retries: 2, timeoutMs: 30_000, fetch: (request, init) => fetch(request, init), ...options }
    this.api = createClient<paths>({ baseUrl: options.url, headers: { authorization: `Bearer ${options.key}` } })
  }

  /**
   * One call: `ask` passes the given function on as `fetch`.
   * @throws AnteroomError, the reason of the caller's signal
   */
  async call<T>(
    { signal, timeoutMs = this.#options.timeoutMs }: CallOptions,
    ask: (fetch: Send) => Promise<{ data?: T }>,
  ): Promise<T> {
    const { data } = await this.#readable(signal, () => ask((request) => this.#send(request, timeoutMs, signal)))
    return data as T
  }

  /** A body that stays open; neither sent again nor timed. */
  async stream(signal: AbortSignal, ask: (fetch: Send) => Promise<{ data?: unknown }>): Promise<ReadableStream> {
    const { data } = await this.#readable(signal, () => ask((request) => this.#attempt(request, signal)))
    return data as ReadableStream
  }

  async #readable<T>(signal: AbortSignal | undefined, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (cause) {
      if (cause instanceof AnteroomError) throw cause
      signal?.throwIfAborted()
      throw new AnteroomError('controller_unreachable', { detail: `${this.#options.url}: the answer broke off`, cause })
    }
  }

  async #send(request: Request, timeoutMs: number, signal: AbortSignal | undefined): Promise<Response> {
    for (let attempt = 0; ; attempt++) {
      const inTime = AbortSignal.timeout(timeoutMs)
      try {
        return await this.#attempt(request.clone(), signal ? AbortSignal.any([signal, inTime]) : inTime)
      } catch (error) {
        signal?.throwIfAborted()
        if (inTime.aborted)
          throw new AnteroomError('deadline_exceeded', { detail: `${named(request)}: no answer in ${timeoutMs} ms` })
        const waitMs = attempt < this.#options.retries ? waitBeforeRetryMs(error, request, attempt) : undefined
        if (waitMs === undefined) throw error
        await pause(waitMs, signal)
      }
    }
  }

  async #attempt(request: Request, signal: AbortSignal): Promise<Response> {
    let response: Response
    try {
      response = await this.#options.fetch(request, { signal })
    } catch (cause) {
      signal.throwIfAborted()
      throw new AnteroomError('controller_unreachable', { detail: `${this.#options.url} does not answer`, cause })
    }
    const type = response.headers.get('content-type') ?? ''
    const isOurs = response.status === 204 || /^(application\/(json|x-ndjson)|text\/event-stream)\b/.test(type)
    if (response.ok && isOurs) return response
    throw await errorOf(response, named(request))
  }
}

/** Without its query: a subject is nobody's business in a log. */
const named = ({ method, url }: Request): string => `${method} ${url.split('?', 1)[0]}`

/** undefined: sending it again would not help, or might do it twice. */
function waitBeforeRetryMs(error: unknown, request: Request, attempt: number): number | undefined {
  if (!(error instanceof AnteroomError) || !error.retryable) return undefined
  const { code, retryAfterSeconds } = error
  if (retryAfterSeconds !== null) return retryAfterSeconds <= longestWaitSeconds ? retryAfterSeconds * 1000 : undefined
  const mayRepeat = request.method !== 'POST' || request.headers.has('idempotency-key')
  return code === 'controller_unreachable' && mayRepeat ? firstPauseMs * 2 ** attempt : undefined
}

/** Not randomUUID: browsers have it on secure origins only. */
export const newIdempotencyKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
