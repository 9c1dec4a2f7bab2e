import { isIP } from 'node:net'
import { AppError, isLoopback } from '@anteroom/base'
import type { FastifyRequest } from 'fastify'

const wildcards: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

/** Under which names this server is reached: against DNS rebinding (Host) and cross-site requests (Origin). */
export class Origins {
  readonly #public: URL | undefined
  readonly #scheme: 'http' | 'https'
  #listenHost: string

  /** `scheme`: what this server itself speaks. */
  constructor(listenHost: string, publicUrl: string | undefined, scheme: 'http' | 'https' = 'http') {
    this.#scheme = scheme
    this.#listenHost = listenHost
    this.#public = publicUrl === undefined ? undefined : new URL(publicUrl)
  }

  listening(host: string): void {
    this.#listenHost = host
  }

  /** The origin that the request was sent to. @throws AppError origin_refused, invalid_request */
  of(request: Pick<FastifyRequest, 'headers'>): string {
    const { host } = request.headers
    if (host === undefined)
      throw new AppError('invalid_request', { fields: [{ pointer: 'host', message: 'is required' }] })
    if (this.#public && host === this.#public.host) return this.#public.origin
    const url = URL.parse(`${this.#scheme}://${host}`)
    const usual = this.#scheme === 'http' ? /:80$/ : /:443$/
    if (url?.host !== host.toLowerCase().replace(usual, '') || !this.#isOurs(url.hostname))
      throw new AppError('origin_refused', { detail: 'The Host header does not name this controller.' })
    return url.origin
  }

  /** The origin of the page that sent the request, unless it is one of this controller's; undefined, too, where no page did. */
  foreign(request: FastifyRequest): string | undefined {
    const { origin } = request.headers
    return origin === undefined || origin === this.of(request) ? undefined : origin
  }

  /** Refuses what a page of another origin sends. @throws AppError origin_refused */
  check(request: FastifyRequest): void {
    if (this.foreign(request) !== undefined)
      throw new AppError('origin_refused', { detail: 'The Origin header does not name this controller.' })
  }

  /** undefined where `of` would refuse the request. */
  find(request: Pick<FastifyRequest, 'headers'>): string | undefined {
    try {
      return this.of(request)
    } catch {
      return undefined
    }
  }

  /**
   * Loopback names go with any port: a tunnel (`ssh -L`) changes it, and no foreign name can pass as one. The same holds
   * for every address where the server listens on all of them.
   */
  #isOurs(name: string): boolean {
    if (isLoopback(name)) return true
    const bare = name.replace(/^\[(.*)\]$/, '$1')
    return wildcards.has(this.#listenHost) ? isIP(bare) !== 0 : bare === this.#listenHost
  }
}
