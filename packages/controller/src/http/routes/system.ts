import { AppError } from '@anteroom/base'
import { errorDefinitions } from '@anteroom/contract'
import { z } from 'zod'
import type { HttpApp, RouteContext } from '../http-deps.ts'

const tags = ['system']
const open = { access: { scope: 'public' } } as const

const errorList = z.record(
  z.string(),
  z.object({ status: z.number(), title: z.string(), retryable: z.boolean(), hint: z.string() }),
)

export function systemRoutes(app: HttpApp, { ready, metrics }: RouteContext): void {
  app.get(
    '/healthz',
    {
      config: open,
      schema: { tags, summary: 'The process answers', response: { 200: z.object({ status: z.literal('ok') }) } },
    },
    async () => ({ status: 'ok' as const }),
  )
  app.get(
    '/readyz',
    {
      config: open,
      schema: {
        tags,
        summary: 'Sessions can be served; else 503 with what is missing',
        response: { 200: z.object({ status: z.literal('ready') }) },
      },
    },
    async () => {
      const missing = await ready()
      if (missing.length > 0) throw new AppError('not_ready', { detail: missing.join('; '), retryAfterSeconds: 1 })
      return { status: 'ready' as const }
    },
  )
  app.get(
    '/metrics',
    {
      config: { access: { scope: 'operator' } },
      schema: {
        tags,
        summary: 'Metrics for Prometheus',
        response: { 200: { description: 'Metrics', content: { 'text/plain': { schema: z.string() } } } },
      },
    },
    async (_request, reply) => {
      const { contentType, body } = await metrics()
      return reply.header('content-type', contentType).send(body)
    },
  )
  app.get(
    '/openapi.json',
    {
      config: open,
      schema: { tags, summary: 'This API as OpenAPI 3.1', response: { 200: z.record(z.string(), z.unknown()) } },
    },
    async () => ({ ...app.swagger() }),
  )
  // Where the `type` of every problem points.
  app.get(
    '/errors',
    { config: open, schema: { tags, summary: 'Every error code', response: { 200: errorList } } },
    async () => errorDefinitions,
  )
}
