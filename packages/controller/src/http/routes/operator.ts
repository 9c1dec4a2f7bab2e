import { z } from 'zod'
import { cookieOptions, operatorCookie } from '../cookies.ts'
import type { HttpApp, RouteContext } from '../http-deps.ts'
import { noBody, noContent } from './parameters.ts'

const tags = ['operator']

export function operatorRoutes(app: HttpApp, { access, live, origins }: RouteContext): void {
  app.post(
    '/v1/operator/sign-in',
    {
      config: { access: { scope: 'public' } },
      schema: {
        tags,
        summary: "Use a one-time sign-in link up; sets the operator's cookie",
        body: z.strictObject({ token: z.string().min(1).max(200) }),
        response: { 204: noContent },
      },
    },
    async (request, reply) => {
      const cookie = await access.signIn(request.body.token)
      const origin = origins.of(request)
      return reply.setCookie(operatorCookie(origin), cookie, cookieOptions(origin)).code(204).send()
    },
  )
  app.post(
    '/v1/operator/sign-out',
    {
      config: { access: { scope: 'operator' } },
      schema: { tags, summary: "Forget the operator's cookie", body: noBody, response: { 204: noContent } },
    },
    async (request, reply) => {
      const origin = origins.of(request)
      const cookie = request.cookies[operatorCookie(origin)]
      // Screens that this browser has open go with it.
      const principal = cookie === undefined ? undefined : await access.byCookie(cookie)
      if (cookie !== undefined) await access.signOut(cookie)
      if (principal?.kind === 'operator') await live.revokeOfCookie(principal.cookie)
      return reply.clearCookie(operatorCookie(origin), cookieOptions(origin)).code(204).send()
    },
  )
  app.get(
    '/v1/operator',
    {
      config: { access: { scope: 'operator' } },
      schema: {
        tags,
        summary: 'Am I signed in as the operator? (401 when not)',
        response: { 200: z.object({ signed_in: z.literal(true), name: z.string().nullable() }) },
      },
    },
    async ({ principal }) => ({
      signed_in: true as const,
      name: principal?.kind === 'operator' ? (principal.person?.name ?? null) : null,
    }),
  )
}
