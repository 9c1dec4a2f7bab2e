import type { paths } from '../openapi.gen.ts'
import type { Connection, CreatedSession, Credential, Page } from '../resources.ts'
import { type CallOptions, type CreateOptions, newIdempotencyKey, type Transport } from '../transport.ts'
import type { RepeatSignIn } from './sessions.ts'

export type ListConnections = NonNullable<paths['/v1/connections']['get']['parameters']['query']>

const at = (id: string) => ({ path: { id } })

/** A subject at a provider; it stays when sessions end. */
export class Connections {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  async get(id: string, options: CallOptions = {}): Promise<Connection> {
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.GET('/v1/connections/{id}', { params: at(id), fetch }),
    )
  }

  async list(query: ListConnections = {}, options: CallOptions = {}): Promise<Page<Connection>> {
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.GET('/v1/connections', { params: { query }, fetch }),
    )
  }

  /** With every version of its credential. */
  async delete(id: string, options: CallOptions = {}): Promise<void> {
    await this.#transport.call(options, (fetch) =>
      this.#transport.api.DELETE('/v1/connections/{id}', { params: at(id), fetch }),
    )
  }

  /** A new session for the same subject at the same provider. */
  async reauth(
    id: string,
    body: RepeatSignIn = {},
    { idempotencyKey, ...options }: CreateOptions = {},
  ): Promise<CreatedSession> {
    const header = { 'idempotency-key': idempotencyKey ?? newIdempotencyKey() }
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.POST('/v1/connections/{id}/reauth', { params: { ...at(id), header }, body, fetch }),
    )
  }

  /** What was handed over, in the clear; the key needs `credentials:read`. @throws AnteroomError connection_needs_auth */
  async credential(id: string, options: CallOptions = {}): Promise<Credential> {
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.GET('/v1/connections/{id}/credential', { params: at(id), fetch }),
    )
  }
}
