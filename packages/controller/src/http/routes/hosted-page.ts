import { providerSummary, session, sessionEnd, viewers } from '@anteroom/contract'
import { z } from 'zod'
import { visitorCookie, visitorCookieOptions } from '../cookies.ts'
import type { HttpApp, RouteContext } from '../http-deps.ts'
import { reachedBy } from '../reach.ts'
import { sessionFor } from '../session-for.ts'
import { askerAtScreen, holderOf, ticketHolder } from '../ticket-holder.ts'
import { noBody, noContent, sessionParams } from './parameters.ts'

const tags = ['hosted page']

const hostedPage = z.object({
  session,
  /** null when its definition was removed meanwhile. */
  provider: providerSummary.nullable(),
  /** Who asks, in words for the account owner; null: whoever runs this service. */
  asked_by: z.string().nullable(),
  /** Whoever asks is not the operator, who may look on and decides nothing here for others. */
  is_yours: z.boolean(),
  /** They were told all of this and chose to go on. */
  agreed: z.boolean(),
  /** For clocks that are wrong on the person's side. */
  server_time: z.iso.datetime(),
  /** Who sees the screen. */
  viewers: viewers.shape.viewers,
  /** What the person pastes reaches the machine. */
  may_paste: z.boolean(),
  /** How long nobody may do anything, while `session.idle_expires_at` is in force. */
  idle_seconds: z.number().int(),
})

const entered = z.object({
  /** How it ended, for whoever comes only then, without a cookie; null: come in. */
  end: sessionEnd.nullable(),
})

/** What the account owner's browser does with the link that it was sent. */
export function hostedPageRoutes(app: HttpApp, context: RouteContext): void {
  const { access, providers, clock, config, origins, returns } = context
  const isFramed = config.hosted_page.frame_ancestors.length > 0
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
        const return_url = returns.ifAllowed(entry.end.return_url)
        return reply.send({ end: { ...entry.end, return_url, provider_title: title } })
      }
      const origin = origins.of(request)
      const options = { ...visitorCookieOptions(origin, isFramed), expires: new Date(entry.expiresAt) }
      return reply.setCookie(visitorCookie(origin, id), entry.cookie, options).send({ end: null })
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
      const { sessions, live } = reachedBy(request, context)
      const shown = await sessions.get(request.params.id)
      const { askedBy, agreed } = await sessions.announcement(shown.id)
      const asker = await askerAtScreen(request, shown.id, context)
      return {
        viewers: (await live.audience(shown.id, holderOf(asker))).viewers,
        is_yours: asker?.kind !== 'operator',
        session: { ...sessionFor(request.principal, shown), return_url: returns.ifAllowed(shown.return_url) },
        provider: providers.list().find(({ name }) => name === shown.provider) ?? null,
        asked_by: config.hosted_page.display_name ?? (askedBy === null ? null : await access.keys.nameOf(askedBy)),
        agreed,
        may_paste: config.live.clipboard_to_machine === 'on',
        server_time: new Date(clock.now()).toISOString(),
        idle_seconds: config.timeouts.idle_seconds,
      }
    },
  )
  app.post(
    '/v1/sessions/:id/agree',
    {
      config: { access: { scope: 'sessions:write', visitor: true } },
      schema: {
        tags,
        summary: 'Say that the account owner was told what is asked for, and goes on',
        params: sessionParams,
        body: noBody,
        response: { 204: noContent },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const { principal } = await ticketHolder(request, id, context)
      await reachedBy(request, context).sessions.agree(id, principal)
      return reply.code(204).send()
    },
  )
}
