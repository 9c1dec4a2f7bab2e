import { connection, createdSession, createSession, credential, projectId } from '@anteroom/contract'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { principalName } from '../authorisation.ts'
import type { HttpApp, RouteContext } from '../http-deps.ts'
import { reachedBy } from '../reach.ts'
import { connectionParams, idempotencyHeaders, idempotencyKeyOf, noContent, page, pageOf } from './parameters.ts'

const tags = ['connections']

const listQuery = z.strictObject({
  project_id: projectId.exactOptional(),
  provider: z.string().min(1).max(64).exactOptional(),
  subject: z.string().min(1).max(200).exactOptional(),
  ...page,
})

export function connectionRoutes(app: HttpApp, context: RouteContext): void {
  const reached = (request: Pick<FastifyRequest, 'principal'>) => reachedBy(request, context)
  app.get(
    '/v1/connections',
    {
      config: { access: { scope: 'connections:read' } },
      schema: { tags, summary: 'List connections', querystring: listQuery, response: { 200: pageOf(connection) } },
    },
    (request) => reached(request).connections.list(request.query),
  )
  app.get(
    '/v1/connections/:id',
    {
      config: { access: { scope: 'connections:read' } },
      schema: {
        tags,
        summary: 'One connection; never its credential',
        params: connectionParams,
        response: { 200: connection },
      },
    },
    (request) => reached(request).connections.get(request.params.id),
  )
  app.delete(
    '/v1/connections/:id',
    {
      config: { access: { scope: 'connections:write' } },
      schema: {
        tags,
        summary: 'Delete the connection and every version of its credential',
        params: connectionParams,
        response: { 204: noContent },
      },
    },
    async (request, reply) => {
      await reached(request).connections.remove(request.params.id)
      return reply.code(204).send()
    },
  )
  app.get(
    '/v1/connections/:id/credential',
    {
      config: { access: { scope: 'credentials:read', keysOnly: true } },
      schema: { tags, summary: 'The credential itself', params: connectionParams, response: { 200: credential } },
    },
    async (request, reply) => {
      const bytes = (await reached(request).vault.read(request.params.id)).expose()
      // Bytes as they lie in the vault: what it is made of never becomes strings, and this is overwritten when it was sent.
      reply.raw.once('close', () => bytes.fill(0))
      await reply
        .header('cache-control', 'no-store')
        .type('application/json; charset=utf-8')
        .send(bytes as never)
    },
  )
  reauthRoute(app, context)
}

function reauthRoute(app: HttpApp, context: RouteContext): void {
  app.post(
    '/v1/connections/:id/reauth',
    {
      config: { access: { scope: 'connections:write' } },
      schema: {
        tags,
        summary: 'Begin a new sign-in for the connection',
        params: connectionParams,
        headers: idempotencyHeaders,
        body: createSession.pick({ timeout_seconds: true, return_url: true }),
        response: { 201: createdSession },
      },
    },
    async (request, reply) => {
      const { connections, sessions } = reachedBy(request, context)
      const { id, provider, subject } = await connections.get(request.params.id)
      const { return_url, ...body } = request.body
      const returning = return_url !== undefined && { return_url: context.returns.require(return_url) }
      const created = await sessions.create(
        { ...body, ...returning, provider, subject, connection_id: id },
        { principal: principalName(request.principal), ...idempotencyKeyOf(request.headers) },
      )
      request.madeSession = created.id
      return reply.code(201).header('location', `/v1/sessions/${created.id}`).send(created)
    },
  )
}
