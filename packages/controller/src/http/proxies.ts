import { BlockList, isIP } from 'node:net'
import { AppError, isLoopback } from '@anteroom/base'
import type { FastifyRequest } from 'fastify'
import type { Config } from '../config.ts'

/** Who may speak for others (`X-Forwarded-For`), and whether anybody else may connect at all. */
export class Proxies {
  readonly #named = new BlockList()
  readonly #isNamed: boolean
  readonly #believesLoopback: boolean
  readonly #letsAllIn: boolean

  constructor({ listen, public_url }: Pick<Config, 'listen' | 'public_url'>) {
    this.#isNamed = listen.proxies !== undefined
    // Who is reached at another address than it listens at, in plain http, has a proxy on this host.
    this.#believesLoopback = this.#isNamed || (public_url !== undefined && listen.tls === undefined)
    this.#letsAllIn = !this.#isNamed || listen.tls !== undefined
    for (const range of listen.proxies ?? []) {
      const [address = '', bits] = range.split('/')
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
      if (bits === undefined) this.#named.addAddress(address, family)
      else this.#named.addSubnet(address, Number(bits), family)
    }
  }

  /** Is this peer believed who it speaks for? */
  isBelieved(address: string): boolean {
    if (this.#believesLoopback && isHere(address)) return true
    return this.#isNamed && isIP(address) !== 0 && this.#named.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
  }

  /** Past the proxy people would talk in plain text. @throws AppError origin_refused */
  requireProxy({ socket }: FastifyRequest): void {
    const peer = socket.remoteAddress ?? ''
    if (this.#letsAllIn || isHere(peer) || this.isBelieved(peer)) return
    throw new AppError('origin_refused', { detail: 'Only the reverse proxies in listen.proxies may connect here.' })
  }
}

/** A socket of both families writes IPv4 addresses as IPv6 ones. */
const isHere = (address: string): boolean => isLoopback(address.replace(/^::ffff:(?=\d+\.)/i, ''))
