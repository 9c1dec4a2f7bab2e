import { AppError, Scope } from '@anteroom/base'
import { createTicket, ticket } from '@anteroom/contract'
import fastifyWebsocket from '@fastify/websocket'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { type Admission, type RfbEndpoint, webSocketOptions } from '../../live/live.ts'
import type { HttpApp, RouteContext } from '../http-deps.ts'
import { reachedBy } from '../reach.ts'
import { aboutRequest } from '../request-log.ts'
import { askerAtScreen, holderOf, principalsOf } from '../ticket-holder.ts'
import { noContent, sessionParams } from './parameters.ts'

declare module 'fastify' {
  interface FastifyRequest {
    admitted: { readonly admission: Admission; readonly endpoint: RfbEndpoint } | null
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

const liveQuery = z.strictObject({
  ticket: z.string().min(1).max(200),
  /** The ticket opened the view before; only the cookie that it belongs to opens it again. */
  reconnect: z.literal('1').exactOptional(),
})

const originOfCookie = (): AppError =>
  new AppError('invalid_request', {
    fields: [{ pointer: '/origin', message: 'is for tickets that are asked for with a key' }],
  })

export function liveRoutes(app: HttpApp, context: RouteContext): void {
  const { access: people, live, log, clock, stopping } = context
  app.decorateRequest('admitted', null)
  app.route({
    method: 'GET',
    url: '/v1/sessions/:id/live',
    // The ticket says who may; it was given to somebody who was allowed to ask for it.
    config: { access: { scope: 'public', checksOrigin: true }, webSocket: true },
    schema: {
      tags: ['sessions'],
      summary: 'The live view: RFB over a WebSocket (subprotocol `binary`), admitted by a ticket',
      params: sessionParams,
      querystring: liveQuery,
      response: { 101: noContent },
    },
    // Everything that can be refused is refused here, before the upgrade.
    preHandler: async (request) => {
      if (!request.ws) throw new AppError('invalid_request', { detail: 'Open this address as a WebSocket.' })
      request.admitted = await admit(request, request.params.id, request.query, context)
    },
    handler: async () => {
      throw new AppError('internal', { detail: 'a live view was not upgraded' })
    },
    wsHandler: async (socket, request) => {
      if (!request.admitted) throw new AppError('internal', { detail: 'a live view was not admitted' })
      const { admission, endpoint } = request.admitted
      const { key, principal } = admission.holder
      const held = key ? people.hold(key) : undefined
      const view = Scope.root('a live view', log.child(aboutRequest(request)), clock)
      const stop = (): void => view.cancel(new AppError('shutting_down'))
      stopping.addEventListener('abort', stop)
      view.log.info({ access: admission.access, by: principal }, 'a live view opened')
      await live.serve(admission, endpoint, socket, view, held?.signal)
      held?.release()
      view.log.info({}, 'a live view closed')
      stopping.removeEventListener('abort', stop)
    },
  })
}

/** @throws AppError ticket_invalid, session_over, session_not_ready; origin_refused for a page of an origin that no ticket names */
async function admit(
  request: FastifyRequest,
  id: string,
  { ticket, reconnect }: z.infer<typeof liveQuery>,
  { access, live, sessions, origins }: RouteContext,
) {
  const origin = origins.foreign(request)
  const cookies = (await principalsOf(request, { access, origins })).map(({ cookie }) => cookie)
  const use = { ticket, cookies, isReconnect: reconnect !== undefined, ...(origin !== undefined && { origin }) }
  try {
    const admission = await live.redeemTicket(id, use)
    const { key } = admission.holder
    if (key && !(await access.opens(key))) throw new AppError('ticket_invalid')
    return { admission, endpoint: await sessions.of({ sessionId: id }).rfbEndpoint(id) }
  } catch (error) {
    if (error instanceof AppError && error.code === 'ticket_invalid') origins.check(request)
    throw error
  }
}

export function ticketRoutes(app: HttpApp, context: RouteContext): void {
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
      const { sessions, live } = reachedBy(request, context)
      await sessions.rfbEndpoint(request.params.id)
      const { access, ttl_seconds: ttlSeconds, ...page } = request.body
      const asker = await askerAtScreen(request, request.params.id, context)
      const holder = holderOf(asker)
      if (asker?.kind === 'visitor') await sessions.requireAgreement(request.params.id)
      if (page.origin !== undefined && holder.cookie !== null) throw originOfCookie()
      const issued = await live.issueTicket(request.params.id, { access, ttlSeconds, holder, ...page })
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
      await reachedBy(request, context).live.close(request.params.id, 'ticket_revoked')
      return reply.code(204).send()
    },
  )
}
