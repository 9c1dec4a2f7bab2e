import { AppError } from '@anteroom/base'
import { vaultRotation } from '@anteroom/contract'
import type { HttpApp, RouteContext } from '../http-deps.ts'

const access = { scope: 'operator' } as const
const tags = ['operator']

export function vaultRoutes(app: HttpApp, { vault }: RouteContext): void {
  app.post(
    '/v1/vault/rotation',
    {
      config: { access },
      schema: {
        tags,
        summary: 'Ask for a new wrapping key; the rotation that runs already, when one does',
        response: { 202: vaultRotation },
      },
    },
    async (_request, reply) => reply.code(202).send(await vault.rotation.request()),
  )
  app.get(
    '/v1/vault/rotation',
    {
      config: { access },
      schema: { tags, summary: 'How far the newest rotation has come', response: { 200: vaultRotation } },
    },
    async () => {
      const rotation = await vault.rotation.newest()
      if (!rotation) throw new AppError('not_found', { detail: 'The wrapping key was never rotated.' })
      return rotation
    },
  )
}
