import { capacity, machine, poolStatus } from '@anteroom/contract'
import { z } from 'zod'
import type { HttpApp, RouteContext } from '../http-deps.ts'

export function machineRoutes(app: HttpApp, { machines, pool }: RouteContext): void {
  app.get(
    '/v1/machines',
    {
      config: { access: { scope: 'operator' } },
      schema: {
        tags: ['operator'],
        summary: 'Machines that exist, and the session of each',
        response: { 200: z.object({ items: z.array(machine) }) },
      },
    },
    async () => ({ items: await machines() }),
  )
  app.get(
    '/v1/pool',
    {
      config: { access: { scope: 'operator' } },
      schema: {
        tags: ['operator'],
        summary: 'Machines that wait for sessions, and why there are fewer than wanted',
        response: { 200: poolStatus },
      },
    },
    async () => await pool.status(),
  )
  app.get(
    '/v1/capacity',
    {
      config: { access: { scope: 'operator' } },
      schema: {
        tags: ['operator'],
        summary: 'How many machines this host takes, measured now, and what bounds them',
        response: { 200: capacity },
      },
    },
    async () => await pool.capacity(),
  )
}
