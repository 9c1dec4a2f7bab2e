import { image } from '@anteroom/contract'
import { z } from 'zod'
import type { HttpApp, RouteContext } from '../http-deps.ts'

export function imageRoutes(app: HttpApp, { images }: RouteContext): void {
  app.get(
    '/v1/images',
    {
      config: { access: { scope: 'operator' } },
      schema: {
        tags: ['operator'],
        summary: 'Golden images on this host, the current one marked',
        response: { 200: z.object({ items: z.array(image) }) },
      },
    },
    async () => ({ items: await images.list() }),
  )
}
