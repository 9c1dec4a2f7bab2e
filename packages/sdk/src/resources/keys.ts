import type { Key, KeyWithSecret, Page } from '../resources.ts'
import type { CallOptions, Transport } from '../transport.ts'
import type { JsonBody } from './sessions.ts'

export type CreateKey = JsonBody<'/v1/keys'>

const at = (id: string) => ({ path: { id } })

/** API keys, for a key with the scope `operator`. Secrets are told once, in the answer that makes them. */
export class Keys {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Never sent again by itself: whoever loses the answer revokes the key and makes another. */
  async create(body: CreateKey, options: CallOptions = {}): Promise<KeyWithSecret> {
    return await this.#transport.call(options, (fetch) => this.#transport.api.POST('/v1/keys', { body, fetch }))
  }

  async get(id: string, options: CallOptions = {}): Promise<Key> {
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.GET('/v1/keys/{id}', { params: at(id), fetch }),
    )
  }

  /** Newest first, revoked and expired ones among them. */
  async list(query: { cursor?: string; limit?: number } = {}, options: CallOptions = {}): Promise<Page<Key>> {
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.GET('/v1/keys', { params: { query }, fetch }),
    )
  }

  /** Another secret; the one before opens as well for `overlapSeconds` (an hour unless said otherwise). @throws AnteroomError key_unchangeable */
  async rotate(
    id: string,
    {
      overlapSeconds,
      expiresInSeconds,
      ...options
    }: CallOptions & { overlapSeconds?: number | undefined; expiresInSeconds?: number | undefined } = {},
  ): Promise<KeyWithSecret> {
    const body = {
      ...(overlapSeconds !== undefined && { overlap_seconds: overlapSeconds }),
      ...(expiresInSeconds !== undefined && { expires_in_seconds: expiresInSeconds }),
    }
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.POST('/v1/keys/{id}/rotate', { params: at(id), body, fetch }),
    )
  }

  /** At once and for ever; what the key has open is closed. May be repeated. @throws AnteroomError key_unchangeable */
  async revoke(id: string, options: CallOptions = {}): Promise<void> {
    await this.#transport.call(options, (fetch) =>
      this.#transport.api.DELETE('/v1/keys/{id}', { params: at(id), fetch }),
    )
  }
}
