import { AppError } from '@anteroom/base'
import { z } from 'zod'
import { attemptCookie, cookieOptions, operatorCookie } from '../cookies.ts'
import type { HttpApp, RouteContext } from '../http-deps.ts'
import { noBody, noContent } from './parameters.ts'

const tags = ['operator']
const open = { access: { scope: 'public' } } as const

/** Where the issuer leads the browser back to: a page, which sends on what it was given. */
export const answerPath = '/sign-in/answer'

/** Somebody may have to look for their phone in between. */
const attemptSeconds = 600

const text = z.string().max(4000).exactOptional()

export function operatorOidcRoutes(app: HttpApp, { access, origins }: RouteContext): void {
  app.get(
    '/v1/operator/sign-in',
    {
      config: open,
      schema: {
        tags,
        summary: 'The ways in which the operator can sign in',
        response: { 200: z.object({ issuer: z.string().nullable(), links: z.boolean() }) },
      },
    },
    async () => ({ issuer: access.oidc?.issuerHost ?? null, links: access.takesLinks }),
  )
  app.post(
    '/v1/operator/oidc',
    {
      config: open,
      schema: {
        tags,
        summary: "Begin to sign in by OpenID Connect; sets the attempt's cookie",
        body: noBody,
        response: { 200: z.object({ location: z.url() }) },
      },
    },
    async (request, reply) => {
      const origin = origins.of(request)
      const { attempt, location } = await oidcOf(access).begin(origin + answerPath)
      const options = { ...cookieOptions(origin), maxAge: attemptSeconds }
      return reply.setCookie(attemptCookie(origin), attempt, options).send({ location })
    },
  )
  app.post(
    '/v1/operator/oidc/answer',
    {
      config: open,
      schema: {
        tags,
        summary: "What the issuer sent back with the browser that began; sets the operator's cookie",
        body: z.strictObject({ code: text, state: text, iss: text, error: text }),
        response: { 204: noContent },
      },
    },
    async (request, reply) => {
      const origin = origins.of(request)
      const attempt = request.cookies[attemptCookie(origin)]
      // Whatever comes of it, this attempt is over.
      reply.clearCookie(attemptCookie(origin), cookieOptions(origin))
      if (!attempt) throw new AppError('sign_in_refused', { detail: 'This browser has not begun to sign in.' })
      const person = await oidcOf(access).finish(attempt, origin + answerPath, request.body)
      const cookie = await access.signInAs(person)
      return reply.setCookie(operatorCookie(origin), cookie, cookieOptions(origin)).code(204).send()
    },
  )
}

function oidcOf({ oidc }: RouteContext['access']) {
  if (oidc === null) throw new AppError('not_found')
  return oidc
}
