import { AppError } from '@anteroom/base'
import type { FastifyRequest } from 'fastify'
import { type Principal, reachOf } from '../access/access.ts'
import type { RouteContext } from './http-deps.ts'

/** Who asks, on a route that is not public. */
export function principalOf({ principal }: Pick<FastifyRequest, 'principal'>): Principal {
  if (!principal) throw new AppError('unauthenticated')
  return principal
}

/** What belongs to somebody, as far as whoever asks gets at it. */
export function reachedBy(request: Pick<FastifyRequest, 'principal'>, context: RouteContext) {
  const reach = reachOf(principalOf(request))
  return {
    get sessions() {
      return context.sessions.of(reach)
    },
    get connections() {
      return context.connections.of(reach)
    },
    get events() {
      return context.events.of(reach)
    },
    get live() {
      return context.live.of(reach)
    },
    get vault() {
      return context.vault.of(reach)
    },
  }
}
