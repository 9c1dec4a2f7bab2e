import { providerSummary, session, sessionEnd } from '@anteroom/contract'
import { z } from 'zod'
import { visitorCookie } from '../authorisation.ts'
import type { HttpApp, RouteContext } from '../http-deps.ts'
import { reachedBy } from '../reach.ts'
import { sessionFor } from '../session-for.ts'
import { sessionParams } from './parameters.ts'

const tags = ['hosted page']

const hostedPage = z.object({
  session,
  /** null when its definition was removed meanwhile. */
  provider: providerSummary.nullable(),
  /** For clocks that are wrong on the person's side. */
  server_time: z.iso.datetime(),
  /** How long nobody may do anything, while `session.idle_expires_at` is in force. */
  idle_seconds: z.number().int(),
})

const entered = z.object({
  /** How it ended, for whoever comes only then, without a cookie; null: come in. */
  end: sessionEnd.nullable(),
})

/** What the account owner's browser does with the link that it was sent. */
export function hostedPageRoutes(app: HttpApp, context: RouteContext): void {
  const { access, providers, clock, config, origins } = context
  app.post(
    '/v1/sessions/:id/entry',
    {
      config: { access: { scope: 'public' } },
      schema: {
        tags,
        summary: "Use the secret of `hosted_url` up; sets the visitor's cookie",
        params: sessionParams,
        body: z.strictObject({ secret: z.string().min(1).max(200) }),
        response: { 200: entered },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const entry = await access.enter(id, request.body.secret)
      if (entry.cookie === null) {
        const { title = entry.provider } = providers.list().find(({ name }) => name === entry.provider) ?? {}
        return reply.send({ end: { ...entry.end, provider_title: title } })
      }
      return reply
        .setCookie(visitorCookie, entry.cookie, { ...origins.cookieOptions(request), path: `/v1/sessions/${id}` })
        .send({ end: null })
    },
  )
  app.get(
    '/v1/sessions/:id/page',
    {
      config: { access: { scope: 'sessions:read', visitor: true } },
      schema: {
        tags,
        summary: 'Everything that the hosted page shows',
        params: sessionParams,
        response: { 200: hostedPage },
      },
    },
    async (request) => {
      const shown = await reachedBy(request, context).sessions.get(request.params.id)
      return {
        session: sessionFor(request.principal, shown),
        provider: providers.list().find(({ name }) => name === shown.provider) ?? null,
        server_time: new Date(clock.now()).toISOString(),
        idle_seconds: config.timeouts.idle_seconds,
      }
    },
  )
}
