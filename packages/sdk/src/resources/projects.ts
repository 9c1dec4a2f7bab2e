import type { Page, Project } from '../resources.ts'
import type { CallOptions, Transport } from '../transport.ts'

/** Tenants, for a key with the scope `operator`. What keys of one make is not there for those of another. */
export class Projects {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Never sent again by itself: it would make two. */
  async create(body: { name: string }, options: CallOptions = {}): Promise<Project> {
    return await this.#transport.call(options, (fetch) => this.#transport.api.POST('/v1/projects', { body, fetch }))
  }

  async get(id: string, options: CallOptions = {}): Promise<Project> {
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.GET('/v1/projects/{id}', { params: { path: { id } }, fetch }),
    )
  }

  /** Newest first. */
  async list(query: { cursor?: string; limit?: number } = {}, options: CallOptions = {}): Promise<Page<Project>> {
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.GET('/v1/projects', { params: { query }, fetch }),
    )
  }
}
