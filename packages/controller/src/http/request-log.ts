import type { Log } from '@anteroom/base'
import { sessionId } from '@anteroom/contract'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { principalName } from './authorisation.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The session that it made; whose session it is about otherwise stands in its address. */
    madeSession: string | null
  }
}

/** What every line about a request carries. */
export interface AboutRequest {
  readonly request: string
  readonly session?: string
}

export function aboutRequest({ id, params, madeSession }: FastifyRequest): AboutRequest {
  const session = madeSession ?? sessionId.safeParse((params as { id?: unknown } | undefined)?.id).data
  return { request: id, ...(session !== undefined && { session }) }
}

/**
 * One line for each request that changed something or was refused; the others, pages that poll among them, only where `log_level` is
 * `debug`. By route, never by address: an address may hold a ticket.
 */
export function logAnswers(app: FastifyInstance, log: Log): void {
  app.decorateRequest('madeSession', null)
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions, principal } = request
    const matters = reply.statusCode >= 400 || (method !== 'GET' && method !== 'HEAD')
    log[matters ? 'info' : 'debug'](
      {
        ...aboutRequest(request),
        ...{ method, route: routeOptions.url ?? 'unknown', status: reply.statusCode },
        ...{ duration_ms: Math.round(reply.elapsedTime), principal: principalName(principal) },
      },
      'answered',
    )
  })
}
