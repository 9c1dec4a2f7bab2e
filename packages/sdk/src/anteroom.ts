import { Audit } from './resources/audit.ts'
import { Connections } from './resources/connections.ts'
import { Keys } from './resources/keys.ts'
import { Projects } from './resources/projects.ts'
import { Sessions } from './resources/sessions.ts'
import type { DoctorReport, Image, Machine, Pool, Provider, VaultRotation } from './resources.ts'
import { type AnteroomOptions, type CallOptions, Transport } from './transport.ts'

/** A controller, asked with a key. Every method throws AnteroomError. */
export class Anteroom {
  readonly sessions: Sessions
  readonly connections: Connections
  readonly keys: Keys
  readonly projects: Projects
  readonly audit: Audit
  readonly #transport: Transport

  constructor(options: AnteroomOptions) {
    this.#transport = new Transport(options)
    this.sessions = new Sessions(this.#transport)
    this.connections = new Connections(this.#transport)
    this.keys = new Keys(this.#transport)
    this.projects = new Projects(this.#transport)
    this.audit = new Audit(this.#transport)
  }

  /** What people can sign in to; `problems` names what is wrong in definitions that could not be read. */
  async providers(options: CallOptions = {}): Promise<{
    items: Provider[]
    problems: { file: string; line: number; field: string; message: string }[]
  }> {
    return await this.#transport.call(options, (fetch) => this.#transport.api.GET('/v1/providers', { fetch }))
  }

  /** Those that exist, and the session of each. */
  async machines(options: CallOptions = {}): Promise<Machine[]> {
    const { items } = await this.#transport.call(options, (fetch) => this.#transport.api.GET('/v1/machines', { fetch }))
    return items
  }

  /** Golden images of the host. */
  async images(options: CallOptions = {}): Promise<Image[]> {
    const { items } = await this.#transport.call(options, (fetch) => this.#transport.api.GET('/v1/images', { fetch }))
    return items
  }

  /** Machines that wait for sessions. */
  async pool(options: CallOptions = {}): Promise<Pool> {
    return await this.#transport.call(options, (fetch) => this.#transport.api.GET('/v1/pool', { fetch }))
  }

  /** What is well and what is not; with `fix`, what is safe to repair is repaired. */
  async doctor({ fix = false, ...options }: CallOptions & { fix?: boolean } = {}): Promise<DoctorReport> {
    return await this.#transport.call(options, (fetch) =>
      fix
        ? this.#transport.api.POST('/v1/doctor', { body: { fix: true }, fetch })
        : this.#transport.api.GET('/v1/doctor', { fetch }),
    )
  }

  /** Asks for a new wrapping key of the vault; gives the rotation that runs already, when one does. */
  async rotateVault(options: CallOptions = {}): Promise<VaultRotation> {
    return await this.#transport.call(options, (fetch) => this.#transport.api.POST('/v1/vault/rotation', { fetch }))
  }

  /** How far the newest rotation has come; `not_found` when there never was one. */
  async vaultRotation(options: CallOptions = {}): Promise<VaultRotation> {
    return await this.#transport.call(options, (fetch) => this.#transport.api.GET('/v1/vault/rotation', { fetch }))
  }
}
