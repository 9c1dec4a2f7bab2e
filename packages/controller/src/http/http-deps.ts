import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock, Log } from '@anteroom/base'
import type { DoctorReport, Image, Machine } from '@anteroom/contract'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Access } from '../access/access.ts'
import type { Audit } from '../audit/audit.ts'
import type { Config } from '../config.ts'
import type { Connections } from '../connections/connections.ts'
import type { Events } from '../events/events.ts'
import type { Live } from '../live/live.ts'
import type { Pool } from '../pool/pool.ts'
import type { Providers } from '../providers/providers.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Vault } from '../vault/vault.ts'
import type { Origins } from './origins.ts'
import type { ReturnAddresses } from './return-addresses.ts'

/** The modules behind the edge, and what it needs of the process. What belongs to somebody is got at by their reach alone. */
export interface HttpDeps {
  readonly sessions: Pick<Sessions, 'of'>
  readonly connections: Pick<Connections, 'of'>
  readonly vault: Pick<Vault, 'of' | 'rotation'>
  readonly providers: Pick<Providers, 'list' | 'problems'>
  readonly images: { list(): Promise<Image[]> }
  readonly pool: Pick<Pool, 'status' | 'capacity'>
  readonly machines: () => Promise<Machine[]>
  readonly examine: (how: { readonly fix: boolean }) => Promise<DoctorReport>
  readonly live: Pick<Live, 'of' | 'redeemTicket' | 'serve' | 'revokeOfCookie'>
  readonly events: Pick<Events, 'of'>
  readonly audit: Audit
  readonly access: Pick<
    Access,
    | 'keys'
    | 'projects'
    | 'byKey'
    | 'opens'
    | 'hold'
    | 'byCookie'
    | 'takesLinks'
    | 'oidc'
    | 'signInAs'
    | 'signIn'
    | 'signOut'
    | 'enter'
  >
  readonly log: Log
  readonly clock: Clock
  readonly config: Pick<Config, 'listen' | 'live' | 'public_url' | 'timeouts' | 'hosted_page'>
  /** What is not ready; empty when everything is. */
  readonly ready: () => Promise<string[]>
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>
  /** The built web pages. */
  readonly webRoot: string
}

export type HttpApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>

/** What a routes file gets. */
export interface RouteContext extends HttpDeps {
  readonly origins: Origins
  readonly returns: ReturnAddresses
  /** Aborts when the server stops: ends what would last. */
  readonly stopping: AbortSignal
}
