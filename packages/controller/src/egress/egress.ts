import { performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import { type Clock, createSerialiser, type Log, Scope } from '@anteroom/base'
import type { EgressHost, ProviderDefinition } from '@anteroom/contract'
import type { Store } from '../store/store.ts'
import { EgressLog } from './egress-log.ts'
import { addCounts, hostsOf } from './egress-rows.ts'
import { createProxy } from './proxy.ts'
import { ProxyConnection } from './proxy-connection.ts'
import { createResolver } from './resolver.ts'

export type EgressPolicy = ProviderDefinition['egress'] & {
  /** Ports other than 80 and 443 to which the allowed hosts may be connected. */
  readonly ports?: readonly number[]
}

/** A machine serves one session. */
export interface EgressOwner {
  readonly machine: string
  readonly session: string
}

/** A machine's only way out: an HTTP proxy (CONNECT and absolute-form requests) spoken on connections from the agent link. */
export interface Egress {
  /** Serves the proxy to one machine over its link until the link closes or `detach`. Idempotent by machine: a new link replaces the old one. */
  attach(owner: EgressOwner, policy: EgressPolicy, link: Duplex): void
  isAttached(machineId: string): boolean
  /** Closes the link and forgets the machine; what it asked for stays known of its session. */
  detach(machineId: string): void
  /** Hosts that the machine of a session asked for, up to this moment and after its end. @throws AppError store_unavailable */
  hostsOf(session: string): Promise<EgressHost[]>
  /** Writes down every few seconds what was counted, until `scope` is over. */
  run(scope: Scope): Promise<void>
  /** Closes every link, and writes down the rest; the machines go on, and a later controller attaches them again. */
  close(): Promise<void>
}

/** Every address of a host name. */
export type Resolve = (host: string) => Promise<string[]>

export interface EgressParts {
  readonly log: Log
  readonly clock: Clock
  readonly store: Store
  /** Left out: a resolver of its own for each machine. */
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

/** What was counted since is lost with a controller that is killed. */
const writeEveryMs = 5_000

interface Machine {
  readonly owner: EgressOwner
  readonly link: ServerHttp2Session
}

export function createEgress({ log, clock, store, resolve }: EgressParts): Egress {
  const machines = new Map<string, Machine>()
  /** By session; until everything is written down that can still come. */
  const logs = new Map<string, EgressLog>()
  const oneAtATime = createSerialiser()

  const logOf = ({ machine, session }: EgressOwner): EgressLog => {
    const known = logs.get(session) ?? new EgressLog(log.child({ machine, session }), clock)
    logs.set(session, known)
    return known
  }

  const write = (): Promise<void> =>
    oneAtATime('rows', async () => {
      const news = new Map([...logs].map(([session, one]) => [session, one.news()]))
      await addCounts(store, news)
      const attached = new Set([...machines.values()].map(({ owner }) => owner.session))
      for (const [session, counts] of news) {
        const one = logs.get(session)
        one?.written(counts)
        if (one?.isOver && !attached.has(session)) logs.delete(session)
      }
    })

  return {
    attach(owner, policy, link) {
      machines.get(owner.machine)?.link.destroy()
      const scope = Scope.root(`egress of ${owner.machine}`, log, clock)
      const proxy = createProxy({ policy, log: logOf(owner), resolve: resolve ?? createResolver(), scope })
      const session = serveStreams(link, (stream) => void proxy.emit('connection', new ProxyConnection(stream)))
      session.on('error', (error) => log.warn({ ...owner, error }, 'the egress link failed'))
      session.on('close', () => scope.cancel())
      machines.set(owner.machine, { owner, link: session })
    },
    isAttached(machineId) {
      const link = machines.get(machineId)?.link
      return link !== undefined && !link.closed && !link.destroyed
    },
    detach(machineId) {
      machines.get(machineId)?.link.destroy()
      machines.delete(machineId)
    },
    async hostsOf(session) {
      await write()
      return await hostsOf(store.db, session)
    },
    async run(scope) {
      while (!scope.signal.aborted) {
        await clock.delay(writeEveryMs, scope.signal)
        await write().catch((error: unknown) => log.warn({ error }, 'what machines asked for is written down later'))
      }
    },
    async close() {
      for (const { link } of machines.values()) link.destroy()
      await write().catch((error: unknown) => log.warn({ error }, 'what machines asked for last is not written down'))
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
