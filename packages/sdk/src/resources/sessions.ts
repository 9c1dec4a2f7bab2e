import type { paths } from '../openapi.gen.ts'
import type {
  CreatedSession,
  Diagnosis,
  Page,
  Session,
  SessionEgress,
  SessionEvent,
  SessionLog,
  Ticket,
  Viewers,
} from '../resources.ts'
import { sessionEvents } from '../session-events.ts'
import { type CallOptions, type CreateOptions, newIdempotencyKey, type Transport } from '../transport.ts'

export type JsonBody<Path extends keyof paths> = paths[Path] extends {
  post: { requestBody?: { content: { 'application/json': infer Body } } }
}
  ? Body
  : never

export type CreateSession = JsonBody<'/v1/sessions'>
export type RepeatSignIn = JsonBody<'/v1/connections/{id}/reauth'>
export type ListSessions = NonNullable<paths['/v1/sessions']['get']['parameters']['query']>

const at = (id: string) => ({ path: { id } })

/** One attempt of one person to sign in. */
export class Sessions {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Answers at once; send the person to `hosted_url`, which is shown only here. */
  async create(body: CreateSession, { idempotencyKey, ...options }: CreateOptions = {}): Promise<CreatedSession> {
    const header = { 'idempotency-key': idempotencyKey ?? newIdempotencyKey() }
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.POST('/v1/sessions', { params: { header }, body, fetch }),
    )
  }

  async get(id: string, options: CallOptions = {}): Promise<Session> {
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.GET('/v1/sessions/{id}', { params: at(id), fetch }),
    )
  }

  /** Newest first. */
  async list(query: ListSessions = {}, options: CallOptions = {}): Promise<Page<Session>> {
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.GET('/v1/sessions', { params: { query }, fetch }),
    )
  }

  /** Ends it; may be repeated. */
  async cancel(id: string, options: CallOptions = {}): Promise<Session> {
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.POST('/v1/sessions/{id}/cancel', { params: at(id), body: {}, fetch }),
    )
  }

  /** Says that the person is signed in, where the provider's definition has no rule that notices it. */
  async capture(id: string, options: CallOptions = {}): Promise<Session> {
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.POST('/v1/sessions/{id}/capture', { params: at(id), body: {}, fetch }),
    )
  }

  /** More time. With `idleOnly` it says only that somebody is there. @throws AnteroomError extension_refused */
  async extend(id: string, { idleOnly = false, ...options }: CallOptions & { idleOnly?: boolean } = {}) {
    return await this.#transport.call<Session>(options, (fetch) =>
      this.#transport.api.POST('/v1/sessions/{id}/extend', { params: at(id), body: { idle_only: idleOnly }, fetch }),
    )
  }

  /** Opens one live view, once; with `origin`, only from a page of that origin. @throws AnteroomError session_not_ready, session_over */
  async ticket(
    id: string,
    {
      access = 'control',
      ttlSeconds,
      origin,
      ...options
    }: CallOptions & { access?: Ticket['access']; ttlSeconds?: number; origin?: string } = {},
  ): Promise<Ticket> {
    const body = {
      access,
      ...(ttlSeconds !== undefined && { ttl_seconds: ttlSeconds }),
      ...(origin !== undefined && { origin }),
    }
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.POST('/v1/sessions/{id}/tickets', { params: at(id), body, fetch }),
    )
  }

  /** Who sees the screen now. */
  async viewers(id: string, options: CallOptions = {}): Promise<Viewers> {
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.GET('/v1/sessions/{id}/viewers', { params: at(id), fetch }),
    )
  }

  /** Asks for keyboard and mouse for a view that your own ticket opened; whoever the screen belongs to decides. */
  async askForControl(id: string, viewerId: string, options: CallOptions = {}): Promise<Viewers> {
    const params = { path: { id, viewer_id: viewerId } }
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.POST('/v1/sessions/{id}/viewers/{viewer_id}/ask', { params, body: {}, fetch }),
    )
  }

  /** Gives keyboard and mouse to a view, or not. @throws AnteroomError forbidden when the screen is somebody else's */
  async answerControl(id: string, viewerId: string, give: boolean, options: CallOptions = {}): Promise<Viewers> {
    const params = { path: { id, viewer_id: viewerId } }
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.POST('/v1/sessions/{id}/viewers/{viewer_id}/control', { params, body: { give }, fetch }),
    )
  }

  /** Every ticket, and closes every live view. */
  async revokeTickets(id: string, options: CallOptions = {}): Promise<void> {
    await this.#transport.call(options, (fetch) =>
      this.#transport.api.DELETE('/v1/sessions/{id}/tickets', { params: at(id), fetch }),
    )
  }

  /** What happened, why it ended, what says so, what to do. */
  async diagnosis(id: string, options: CallOptions = {}): Promise<Diagnosis> {
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.GET('/v1/sessions/{id}/diagnosis', { params: at(id), fetch }),
    )
  }

  /** All that was written about it and its machine, by time; for the operator's key. */
  async logs(id: string, options: CallOptions = {}): Promise<SessionLog> {
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.GET('/v1/sessions/{id}/logs', { params: at(id), fetch }),
    )
  }

  /** Where its machine went, or wanted to go: hosts, how often, how many bytes; never what was asked or answered. */
  async egress(id: string, options: CallOptions = {}): Promise<SessionEgress> {
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.GET('/v1/sessions/{id}/egress', { params: at(id), fetch }),
    )
  }

  /**
   * Every event, those of the past first, to the end of the session; reconnects by itself. With `after`, the `seq` of an event, those
   * behind it: of a session that has ended with that one there is none, and it waits until `signal` aborts.
   */
  events(
    id: string,
    { after = 0, signal }: { after?: number; signal?: AbortSignal } = {},
  ): AsyncGenerator<SessionEvent> {
    return sessionEvents(this.#transport, id, after, signal)
  }

  /** Waits, however long it takes; gives the session with its `outcome`. */
  async untilEnded(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<Session> {
    const events = this.events(id, { ...(signal && { signal }) })
    while (!(await events.next()).done);
    return await this.get(id, { signal })
  }
}
