import { performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import { type Clock, type Log, Scope } from '@anteroom/base'
import type { ProviderDefinition } from '@anteroom/contract'
import { systemResolve } from './dial.ts'
import { EgressLog } from './egress-log.ts'
import { createProxy } from './proxy.ts'
import { ProxyConnection } from './proxy-connection.ts'

export type EgressPolicy = ProviderDefinition['egress'] & {
  /** Ports other than 80 and 443 to which the allowed hosts may be connected. */
  readonly ports?: readonly number[]
}

export interface EgressRecord {
  readonly host: string
  readonly port: number
  readonly allowed: boolean
  readonly bytesUp: number
  readonly bytesDown: number
}

/** A machine's only way out: an HTTP proxy (CONNECT and absolute-form requests) spoken on connections from the agent link. */
export interface Egress {
  /** Serves the proxy to one machine over its link until the link closes or `detach`. Idempotent by machine: a new link replaces the old one. */
  attach(machineId: string, policy: EgressPolicy, link: Duplex): void
  isAttached(machineId: string): boolean
  /** Closes the link and forgets the machine with its records. */
  detach(machineId: string): void
  /** Hosts asked for since the first `attach`, for the session's evidence; also after the link closed. */
  records(machineId: string): EgressRecord[]
  /** Closes every link; the machines go on, and a later controller attaches them again. */
  close(): void
}

/** Every address of a host name. */
export type Resolve = (host: string) => Promise<string[]>

export interface EgressParts {
  readonly log: Log
  readonly clock: Clock
  readonly resolve?: Resolve
}

/** What a provider's definition allows: its egress section, and the ports that its own addresses name. */
export function egressPolicyOf(provider: ProviderDefinition): EgressPolicy {
  const addresses =
    provider.kind === 'oauth2'
      ? [provider.issuer, provider.authorization_endpoint, provider.token_endpoint]
      : [provider.start_url, ...provider.capture.storage]
  const ports = addresses.flatMap((address) => Number(address && new URL(address).port) || [])
  return { ...provider.egress, ports: [...new Set(ports)] }
}

/** Chromium opens at most 32 connections to one proxy; the agent's own requests come on top. */
const maxStreams = 128
/** What one stream may have under way; the default of 64 KiB costs a round trip for each 64 KiB. */
const streamWindowBytes = 256 * 1024
const maxSessionMemoryMB = 64

interface Machine {
  readonly log: EgressLog
  session: ServerHttp2Session | undefined
}

export function createEgress({ log, clock, resolve = systemResolve }: EgressParts): Egress {
  const machines = new Map<string, Machine>()

  return {
    attach(machineId, policy, link) {
      const machine = machines.get(machineId) ?? {
        log: new EgressLog(log.child({ machine: machineId })),
        session: undefined,
      }
      machines.set(machineId, machine)
      machine.session?.destroy()
      const scope = Scope.root(`egress of ${machineId}`, log, clock)
      const proxy = createProxy({ policy, log: machine.log, resolve, scope })
      const session = serveStreams(link, (stream) => void proxy.emit('connection', new ProxyConnection(stream)))
      session.on('error', (error) => log.warn({ machine: machineId, error }, 'the egress link failed'))
      session.on('close', () => scope.cancel())
      machine.session = session
    },
    isAttached(machineId) {
      const session = machines.get(machineId)?.session
      return session !== undefined && !session.closed && !session.destroyed
    },
    detach(machineId) {
      machines.get(machineId)?.session?.destroy()
      machines.delete(machineId)
    },
    records: (machineId) => machines.get(machineId)?.log.records() ?? [],
    close() {
      for (const { session } of machines.values()) session?.destroy()
    },
  }
}

/** HTTP/2 with this side as the server; every CONNECT stream is one connection of the machine to its proxy. */
function serveStreams(link: Duplex, serve: (stream: ServerHttp2Stream) => void): ServerHttp2Session {
  const session = performServerHandshake(link, {
    maxSessionMemory: maxSessionMemoryMB,
    settings: { maxConcurrentStreams: maxStreams, initialWindowSize: streamWindowBytes },
  })
  session.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    // Reset by the guest before this turn came.
    if (stream.destroyed) return
    if (headers[':method'] !== 'CONNECT' || headers[':authority'] !== 'egress') {
      stream.respond({ ':status': 400 }, { endStream: true })
      return
    }
    stream.respond({ ':status': 200 })
    serve(stream)
  })
  return session
}
