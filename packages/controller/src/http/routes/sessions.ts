import { Readable } from 'node:stream'
import { Scope } from '@anteroom/base'
import {
  createdSession,
  createSession,
  diagnosis,
  extendSession,
  projectId,
  session,
  sessionEgress,
  sessionLog,
  sessionStatus,
} from '@anteroom/contract'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { principalName } from '../authorisation.ts'
import type { HttpApp, RouteContext } from '../http-deps.ts'
import { reachedBy } from '../reach.ts'
import { sessionFor } from '../session-for.ts'
import { sessionStream } from '../session-stream.ts'
import { idempotencyHeaders, idempotencyKeyOf, noBody, page, pageOf, sessionParams } from './parameters.ts'

const tags = ['sessions']

/** A machine that runs is asked for its log. */
const diagnosisMs = 10_000

const listQuery = z.strictObject({
  project_id: projectId.exactOptional(),
  status: sessionStatus.exactOptional(),
  provider: z.string().min(1).max(64).exactOptional(),
  subject: z.string().min(1).max(200).exactOptional(),
  ...page,
})

export function sessionRoutes(app: HttpApp, context: RouteContext): void {
  const { clock, log, stopping, returns } = context
  const reached = (request: Pick<FastifyRequest, 'principal'>) => reachedBy(request, context).sessions
  const diagnoses = Scope.root('diagnoses', log, clock)
  stopping.addEventListener('abort', () => diagnoses.cancel(), { once: true })
  app.post(
    '/v1/sessions',
    {
      config: { access: { scope: 'sessions:write' } },
      schema: {
        tags,
        summary: 'Begin a sign-in; answers at once with the address to send the person to',
        headers: idempotencyHeaders,
        body: createSession,
        response: { 201: createdSession },
      },
    },
    async (request, reply) => {
      const { return_url, ...body } = request.body
      const created = await reached(request).create(
        { ...body, ...(return_url !== undefined && { return_url: returns.require(return_url) }) },
        { principal: principalName(request.principal), ...idempotencyKeyOf(request.headers) },
      )
      request.madeSession = created.id
      return reply.code(201).header('location', `/v1/sessions/${created.id}`).send(created)
    },
  )
  app.get(
    '/v1/sessions',
    {
      config: { access: { scope: 'sessions:read' } },
      schema: {
        tags,
        summary: 'List sessions, newest first',
        querystring: listQuery,
        response: { 200: pageOf(session) },
      },
    },
    (request) => reached(request).list(request.query),
  )
  app.get(
    '/v1/sessions/:id',
    {
      config: { access: { scope: 'sessions:read', visitor: true } },
      schema: { tags, summary: 'One session', params: sessionParams, response: { 200: session } },
    },
    async (request) => sessionFor(request.principal, await reached(request).get(request.params.id)),
  )
  app.get(
    '/v1/sessions/:id/diagnosis',
    {
      config: { access: { scope: 'operator' } },
      schema: {
        tags,
        summary: 'What happened, why it ended, what says so, what to do',
        params: sessionParams,
        response: { 200: diagnosis },
      },
    },
    (request) => {
      const { id } = request.params
      return diagnoses.run({ name: id, about: { session: id }, deadlineMs: diagnosisMs }, (inner) =>
        reached(request).diagnosis(id, inner),
      )
    },
  )
  app.get(
    '/v1/sessions/:id/logs',
    {
      config: { access: { scope: 'operator' } },
      schema: {
        tags,
        summary: 'All that was written about it and its machine, by time',
        params: sessionParams,
        response: { 200: sessionLog },
      },
    },
    (request) => {
      const { id } = request.params
      return diagnoses.run({ name: id, about: { session: id }, deadlineMs: diagnosisMs }, (inner) =>
        reached(request).logs(id, inner),
      )
    },
  )
  app.get(
    '/v1/sessions/:id/egress',
    {
      config: { access: { scope: 'sessions:read' } },
      schema: {
        tags,
        summary: 'Hosts that its machine asked for: allowed or refused, how often, how many bytes',
        params: sessionParams,
        response: { 200: sessionEgress },
      },
    },
    (request) => reached(request).egress(request.params.id),
  )
  sessionActions(app, context)
  sessionEvents(app, context)
}

function sessionActions(app: HttpApp, context: RouteContext): void {
  const reached = (request: Pick<FastifyRequest, 'principal'>) => reachedBy(request, context).sessions
  const access = { scope: 'sessions:write', visitor: true } as const
  app.post(
    '/v1/sessions/:id/capture',
    {
      config: { access },
      schema: {
        tags,
        summary: 'Say that the person is signed in',
        params: sessionParams,
        body: noBody,
        response: { 200: session },
      },
    },
    async (request) => {
      const { principal, params } = request
      const sessions = reached(request)
      if (principal?.kind === 'visitor') await sessions.requireAgreement(params.id)
      return sessionFor(principal, await sessions.requestCapture(params.id))
    },
  )
  app.post(
    '/v1/sessions/:id/extend',
    {
      config: { access },
      schema: {
        tags,
        summary: 'Say that somebody is there and needs more time',
        params: sessionParams,
        body: extendSession,
        response: { 200: session },
      },
    },
    async (request) => sessionFor(request.principal, await reached(request).extend(request.params.id, request.body)),
  )
  app.post(
    '/v1/sessions/:id/cancel',
    {
      config: { access },
      schema: {
        tags,
        summary: 'End the session; may be repeated',
        params: sessionParams,
        body: noBody,
        response: { 200: session },
      },
    },
    async (request) => sessionFor(request.principal, await reached(request).requestEnd(request.params.id, 'cancelled')),
  )
}

const eventHeaders = z.looseObject({
  'last-event-id': z
    .string()
    .regex(/^\d{1,15}$/, 'must be the id of an event')
    .exactOptional(),
})

/** Text in the description of the API, a stream in the process; streams pass the serializer by. */
const eventStream = z.string() as unknown as z.ZodType<Readable>

function sessionEvents(app: HttpApp, context: RouteContext): void {
  const { access, clock, stopping } = context
  app.get(
    '/v1/sessions/:id/events',
    {
      config: { access: { scope: 'sessions:read', visitor: true } },
      schema: {
        tags,
        summary: 'Events of a session, past and to come, as server-sent events',
        params: sessionParams,
        headers: eventHeaders,
        response: {
          200: {
            description: 'Stays open until the client leaves; each event is a SessionEvent',
            content: { 'text/event-stream': { schema: eventStream } },
          },
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const held = request.principal?.kind === 'key' ? access.hold(request.principal) : undefined
      if (held) gone.signal.addEventListener('abort', () => held.release())
      const signal = AbortSignal.any([gone.signal, stopping, ...(held ? [held.signal] : [])])
      const after = Number(request.headers['last-event-id'] ?? 0)
      const events = await reachedBy(request, context).events.stream(id, after, signal)
      return reply
        .type('text/event-stream')
        .header('cache-control', 'no-store')
        .header('x-accel-buffering', 'no')
        .send(Readable.from(sessionStream(events, clock, signal)))
    },
  )
}
