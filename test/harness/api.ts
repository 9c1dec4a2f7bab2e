import { Scope } from '@anteroom/base'
import {
  type CreatedSession,
  type Credential,
  createdSession,
  credential,
  type Machine,
  machine,
  type PoolStatus,
  poolStatus,
  type Session,
  session as sessionSchema,
} from '@anteroom/contract'

export interface Answer {
  readonly status: number
  readonly type: string
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

/** What an integrator's program does, with the operator's key unless told otherwise. */
export class Api {
  readonly url: string
  readonly #key: string
  constructor(url: string, key: string) {
    this.url = url
    this.#key = key
  }

  async call(method: string, path: string, options: { body?: unknown; raw?: string; key?: string | null } = {}) {
    const key = options.key === undefined ? this.#key : options.key
    const text = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body))
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(key !== null && { authorization: `Bearer ${key}` }),
        ...(text !== undefined && { 'content-type': 'application/json' }),
      },
      ...(text !== undefined && { body: text }),
    })
    const type = response.headers.get('content-type') ?? ''
    const body = type.includes('json') ? await response.json() : { text: await response.text() }
    return { status: response.status, type, headers: response.headers, body } as Answer
  }

  async #expect(status: number, method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.call(method, path, { body })
    if (answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body
  }

  async createSession(provider: string, subject: string): Promise<CreatedSession> {
    return createdSession.parse(await this.#expect(201, 'POST', '/v1/sessions', { provider, subject }))
  }

  async session(id: string): Promise<Session> {
    return sessionSchema.parse(await this.#expect(200, 'GET', `/v1/sessions/${id}`))
  }

  async credential(connectionId: string): Promise<Credential> {
    return credential.parse(await this.#expect(200, 'GET', `/v1/connections/${connectionId}/credential`))
  }

  async machines(): Promise<Machine[]> {
    const { items } = (await this.#expect(200, 'GET', '/v1/machines')) as { items: unknown[] }
    return items.map((item) => machine.parse(item))
  }

  async pool(): Promise<PoolStatus> {
    return poolStatus.parse(await this.#expect(200, 'GET', '/v1/pool'))
  }

  /** Waits until so many machines wait in the pool; the first time a snapshot may have to be built. */
  async poolReady(count: number, deadlineMs = 300_000): Promise<Machine[]> {
    return await Scope.root('e2e').run({ name: `${count} machines wait`, deadlineMs }, (scope) =>
      scope.until(async () => {
        const waiting = (await this.machines()).filter(
          ({ ready_at, session_id }) => ready_at !== null && session_id === null,
        )
        return waiting.length === count ? waiting : undefined
      }, 100),
    )
  }

  /** Waits until `holds`; a session that ends before that is an error which says how it ended. */
  async until(id: string, what: string, holds: (session: Session) => boolean, deadlineMs = 300_000): Promise<Session> {
    return await Scope.root('e2e').run({ name: `session is ${what}`, deadlineMs }, (scope) =>
      scope.until(async () => {
        const now = await this.session(id)
        if (holds(now)) return now
        if (now.status === 'ended') throw new Error(`session ended: ${JSON.stringify(now, null, 2)}`)
        return undefined
      }, 100),
    )
  }

  ended(id: string): Promise<Session> {
    return this.until(id, 'ended', ({ status }) => status === 'ended')
  }
}
