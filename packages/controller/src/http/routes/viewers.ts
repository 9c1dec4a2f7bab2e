import { answerControl, viewers } from '@anteroom/contract'
import type { HttpApp, RouteContext } from '../http-deps.ts'
import { reachedBy } from '../reach.ts'
import { ticketHolder } from '../ticket-holder.ts'
import { noBody, sessionParams, viewerParams } from './parameters.ts'

const tags = ['sessions']

/** Who sees the screen, and who of them has keyboard and mouse. */
export function viewerRoutes(app: HttpApp, context: RouteContext): void {
  app.get(
    '/v1/sessions/:id/viewers',
    {
      config: { access: { scope: 'sessions:read', visitor: true } },
      schema: { tags, summary: 'Who sees the screen now', params: sessionParams, response: { 200: viewers } },
    },
    async (request) => {
      const { id } = request.params
      return await reachedBy(request, context).live.audience(id, await ticketHolder(request, id, context))
    },
  )
  const access = { scope: 'sessions:write', visitor: true } as const
  app.post(
    '/v1/sessions/:id/viewers/:viewer_id/ask',
    {
      config: { access },
      schema: {
        tags,
        summary: 'Ask for keyboard and mouse, for a view of your own',
        params: viewerParams,
        body: noBody,
        response: { 200: viewers },
      },
    },
    async (request) => {
      const { id, viewer_id } = request.params
      const { live } = reachedBy(request, context)
      const holder = await ticketHolder(request, id, context)
      await live.askForControl(id, viewer_id, holder)
      return await live.audience(id, holder)
    },
  )
  app.post(
    '/v1/sessions/:id/viewers/:viewer_id/control',
    {
      config: { access },
      schema: {
        tags,
        summary:
          'Give keyboard and mouse to a view, or take them back with your own; for whoever the screen belongs to',
        params: viewerParams,
        body: answerControl,
        response: { 200: viewers },
      },
    },
    async (request) => {
      const { id, viewer_id } = request.params
      const { live } = reachedBy(request, context)
      const holder = await ticketHolder(request, id, context)
      await live.answerControl(id, viewer_id, request.body.give, holder)
      return await live.audience(id, holder)
    },
  )
}
