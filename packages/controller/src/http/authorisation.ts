import { AppError } from '@anteroom/base'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Access, Principal } from '../access/access.ts'
import { cookieValues } from './cookies.ts'
import type { Origins } from './origins.ts'
import type { RouteAccess } from './route-table.ts'

/** A page of another origin cannot set it without a preflight, which nothing here answers. */
export const requestHeader = 'x-anteroom-request'

/** Generous: a page polls once a second at most. They bound what guessing and runaway loops cost. */
const perAddressPerMinute = 3000
const perPrincipalPerMinute = 6000

declare module 'fastify' {
  interface FastifyRequest {
    /** null on public routes. */
    principal: Principal | null
  }
}

type Limiter = ReturnType<FastifyInstance['createRateLimit']>

type Authenticator = Pick<Access, 'byKey' | 'byCookie'>

interface Identity {
  readonly principal: Principal
  readonly byCookie: boolean
}

/** The name under which the principal's idempotency keys and limits are kept. */
export function principalName(principal: Principal | null): string {
  if (principal?.kind === 'key') return principal.id
  return principal?.kind === 'visitor' ? `visitor ${principal.sessionId}` : (principal?.kind ?? 'nobody')
}

const isMutating = ({ method }: FastifyRequest): boolean => method !== 'GET' && method !== 'HEAD'

/** Says who is asking and whether they may, before a body is read. */
export function authorise(app: FastifyInstance, access: Authenticator, origins: Origins): void {
  const byAddress = app.createRateLimit({
    max: perAddressPerMinute,
    timeWindow: 60_000,
    keyGenerator: ({ ip }) => ip,
  })
  const byPrincipal = app.createRateLimit({
    max: perPrincipalPerMinute,
    timeWindow: 60_000,
    keyGenerator: ({ principal }) => principalName(principal),
  })
  app.decorateRequest('principal', null)
  app.addHook('onRequest', async (request) => {
    const origin = origins.of(request)
    const route = request.routeOptions.config.access
    if (!route || route.scope === 'public') {
      await count(byAddress, request)
      if ((isMutating(request) || request.ws) && !route?.checksOrigin) origins.check(request)
      return
    }
    const { principal, byCookie } = await identify(request, access, origin).catch(async (error: unknown) => {
      await count(byAddress, request)
      throw error
    })
    request.principal = principal
    await count(byPrincipal, request)
    if (byCookie && isMutating(request)) requireOwnPage(request, origins)
    requireAccess(principal, route, request)
  })
}

async function count(limiter: Limiter, request: FastifyRequest): Promise<void> {
  const verdict = await limiter(request)
  if (!verdict.isAllowed && verdict.isExceeded)
    throw new AppError('rate_limited', { retryAfterSeconds: verdict.ttlInSeconds })
}

async function identify(request: FastifyRequest, access: Authenticator, origin: string): Promise<Identity> {
  const { authorization } = request.headers
  if (authorization !== undefined) {
    const bearer = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization)?.[1]
    if (!bearer) throw new AppError('unauthenticated', { detail: 'The Authorization header is not `Bearer <key>`.' })
    return { principal: await access.byKey(bearer), byCookie: false }
  }
  for (const value of cookieValues(request, origin)) {
    const principal = await access.byCookie(value)
    if (principal) return { principal, byCookie: true }
  }
  throw new AppError('unauthenticated')
}

/** SameSite does not tell ports of localhost apart; these two do. */
function requireOwnPage(request: FastifyRequest, origins: Origins): void {
  origins.check(request)
  if (request.headers[requestHeader] !== '1')
    throw new AppError('origin_refused', { detail: 'With a cookie, a change needs the header X-Anteroom-Request: 1.' })
}

function requireAccess(principal: Principal, route: RouteAccess, request: FastifyRequest): void {
  switch (principal.kind) {
    case 'key':
      if (!principal.scopes.some((scope) => scope === route.scope))
        throw new AppError('forbidden', { detail: `This needs the scope ${route.scope}.` })
      return
    case 'operator':
      if (route.keysOnly) throw new AppError('forbidden', { detail: `This needs a key with the scope ${route.scope}.` })
      return
    case 'visitor':
      if (!route.visitor) throw new AppError('forbidden', { detail: `This needs the scope ${route.scope}.` })
      // The same answer as for a session that does not exist.
      if ((request.params as { id?: string }).id !== principal.sessionId) throw new AppError('not_found')
      return
    default:
      principal satisfies never
  }
}
