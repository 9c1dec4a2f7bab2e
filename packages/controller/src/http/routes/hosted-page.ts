import { providerSummary, session } from '@anteroom/contract'
import { z } from 'zod'
import { visitorCookie } from '../authorisation.ts'
import type { HttpApp, RouteContext } from '../http-deps.ts'
import { sessionFor } from '../session-for.ts'
import { noContent, sessionParams } from './parameters.ts'

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

/** What the account owner's browser does with the link that it was sent. */
export function hostedPageRoutes(app: HttpApp, context: RouteContext): void {
  const { access, sessions, providers, clock, config, origins } = context
  app.post(
    '/v1/sessions/:id/entry',
    {
      config: { access: { scope: 'public' } },
      schema: {
        tags,
        summary: "Use the secret of `hosted_url` up; sets the visitor's cookie",
        params: sessionParams,
        body: z.strictObject({ secret: z.string().min(1).max(200) }),
        response: { 204: noContent },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const cookie = await access.enter(id, request.body.secret)
      return reply
        .setCookie(visitorCookie, cookie, { ...origins.cookieOptions(request), path: `/v1/sessions/${id}` })
        .code(204)
        .send()
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
      const shown = await sessions.get(request.params.id)
      return {
        session: sessionFor(request.principal, shown),
        provider: providers.list().find(({ name }) => name === shown.provider) ?? null,
        server_time: new Date(clock.now()).toISOString(),
        idle_seconds: config.timeouts.idle_seconds,
      }
    },
  )
}
