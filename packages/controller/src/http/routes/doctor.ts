import { doctorReport } from '@anteroom/contract'
import { z } from 'zod'
import type { HttpApp, RouteContext } from '../http-deps.ts'

const access = { scope: 'operator' } as const
const tags = ['operator']

export function doctorRoutes(app: HttpApp, { examine, audit }: RouteContext): void {
  app.get(
    '/v1/doctor',
    {
      config: { access },
      schema: { tags, summary: 'What is well and what is not, each with its remedy', response: { 200: doctorReport } },
    },
    () => examine({ fix: false }),
  )
  app.post(
    '/v1/doctor',
    {
      config: { access },
      schema: {
        tags,
        summary: 'The same, and repair what can be repaired without harm',
        body: z.strictObject({ fix: z.literal(true) }),
        response: { 200: doctorReport },
      },
    },
    async () => {
      await audit.recordAlone({ action: 'host.repaired', target: { kind: 'host', id: null } })
      return await examine({ fix: true })
    },
  )
}
