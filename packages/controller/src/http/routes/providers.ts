import { providerSummary } from '@anteroom/contract'
import { z } from 'zod'
import type { HttpApp, RouteContext } from '../http-deps.ts'

const providerList = z.object({
  items: z.array(providerSummary),
  /** Definitions that could not be read. */
  problems: z.array(z.object({ file: z.string(), line: z.number(), field: z.string(), message: z.string() })),
})

export function providerRoutes(app: HttpApp, { providers }: RouteContext): void {
  app.get(
    '/v1/providers',
    {
      config: { access: { scope: 'sessions:read' } },
      schema: {
        tags: ['operator'],
        summary: 'Providers, and what is wrong with definitions that could not be read',
        response: { 200: providerList },
      },
    },
    async () => ({ items: providers.list(), problems: [...providers.problems()] }),
  )
}
