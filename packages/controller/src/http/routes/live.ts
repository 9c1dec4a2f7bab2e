import { AppError, Scope } from '@anteroom/base'
import { createTicket, ticket } from '@anteroom/contract'
import fastifyWebsocket from '@fastify/websocket'
import { z } from 'zod'
import { type AskedBy, type LiveAccess, type RfbEndpoint, webSocketOptions } from '../../live/live.ts'
import type { HttpApp, RouteContext } from '../http-deps.ts'
import { aboutRequest } from '../request-log.ts'
import { noContent, sessionParams } from './parameters.ts'

/** What a redeemed ticket admits to. */
interface Admission {
  readonly sessionId: string
  readonly access: LiveAccess
  readonly endpoint: RfbEndpoint
  readonly by: AskedBy | null
}

declare module 'fastify' {
  interface FastifyRequest {
    admission: Admission | null
  }
  interface FastifyContextConfig {
    webSocket?: true
  }
}

/** WebSockets on this server. Registered before any route. */
export async function acceptWebSockets(app: HttpApp, { log }: RouteContext): Promise<void> {
  await app.register(fastifyWebsocket, {
    options: webSocketOptions,
    errorHandler: (error, socket, request) => {
      log.debug({ ...aboutRequest(request), error }, 'a live view broke off')
      socket.terminate()
    },
    // The cancelled scope ends every view with the reason; the plugin would close them without one.
    preClose: (done) => done(),
  })
  // The plugin would upgrade any route and close the socket at once; a problem says why instead.
  app.addHook('preHandler', async (request) => {
    if (request.ws && !request.routeOptions.config.webSocket)
      throw new AppError('invalid_request', { detail: 'There is no WebSocket at this address.' })
  })
}

/** For viewers that do not answer to the end of their view. */
export function terminateWebSockets(app: HttpApp): void {
  for (const socket of app.websocketServer.clients) socket.terminate()
}

export function liveRoutes(app: HttpApp, { access: keys, sessions, live, log, clock, stopping }: RouteContext): void {
  app.decorateRequest('admission', null)
  app.route({
    method: 'GET',
    url: '/v1/sessions/:id/live',
    // The ticket says who may; it was given to somebody who was allowed to ask for it.
    config: { access: { scope: 'public' }, webSocket: true },
    schema: {
      tags: ['sessions'],
      summary: 'The live view: RFB over a WebSocket (subprotocol `binary`), admitted by a ticket',
      params: sessionParams,
      querystring: z.strictObject({ ticket: z.string().min(1).max(200) }),
      response: { 101: noContent },
    },
    // Everything that can be refused is refused here, before the upgrade.
    preHandler: async (request) => {
      if (!request.ws) throw new AppError('invalid_request', { detail: 'Open this address as a WebSocket.' })
      const { id } = request.params
      const { access, by } = await live.redeemTicket(id, request.query.ticket)
      if (by && !(await keys.opens(by))) throw new AppError('ticket_invalid')
      request.admission = { sessionId: id, access, endpoint: await sessions.rfbEndpoint(id), by }
    },
    handler: async () => {
      throw new AppError('internal', { detail: 'a live view was not upgraded' })
    },
    wsHandler: async (socket, request) => {
      if (!request.admission) throw new AppError('internal', { detail: 'a live view was not admitted' })
      const { sessionId, access, endpoint, by } = request.admission
      const held = by ? keys.hold(by) : undefined
      const view = Scope.root('a live view', log.child(aboutRequest(request)), clock)
      const stop = (): void => view.cancel(new AppError('shutting_down'))
      stopping.addEventListener('abort', stop)
      view.log.info({ access }, 'a live view opened')
      await live.serve(sessionId, access, endpoint, socket, view, held?.signal)
      held?.release()
      view.log.info({}, 'a live view closed')
      stopping.removeEventListener('abort', stop)
    },
  })
}

export function ticketRoutes(app: HttpApp, { sessions, live }: RouteContext): void {
  const access = { scope: 'sessions:write', visitor: true } as const
  app.post(
    '/v1/sessions/:id/tickets',
    {
      config: { access },
      schema: {
        tags: ['sessions'],
        summary: 'A single-use ticket for the live view',
        params: sessionParams,
        body: createTicket,
        response: { 201: ticket },
      },
    },
    async (request, reply) => {
      // A browser cannot read why a WebSocket was refused, so it learns here that there is nothing to see yet.
      await sessions.rfbEndpoint(request.params.id)
      const { access, ttl_seconds } = request.body
      const by = request.principal?.kind === 'key' ? request.principal : null
      const issued = await live.issueTicket(request.params.id, access, ttl_seconds, by)
      return reply.code(201).header('cache-control', 'no-store').send(issued)
    },
  )
  app.delete(
    '/v1/sessions/:id/tickets',
    {
      config: { access },
      schema: {
        tags: ['sessions'],
        summary: 'Revoke every ticket and close every live view',
        params: sessionParams,
        response: { 204: noContent },
      },
    },
    async (request, reply) => {
      await sessions.get(request.params.id)
      await live.close(request.params.id, 'ticket_revoked')
      return reply.code(204).send()
    },
  )
}
