import { apiKey, apiKeyWithSecret, createKey, rotateKey } from '@anteroom/contract'
import { z } from 'zod'
import type { HttpApp, RouteContext } from '../http-deps.ts'
import { principalOf } from '../reach.ts'
import { keyParams, noContent, page, pageOf } from './parameters.ts'

const tags = ['keys']
const config = { access: { scope: 'operator' } } as const

/** Nothing here takes an Idempotency-Key: to give the same answer twice, a secret would have to be kept. */
export function keyRoutes(app: HttpApp, { access: { keys } }: RouteContext): void {
  app.get(
    '/v1/keys',
    {
      config,
      schema: {
        tags,
        summary: 'List API keys, newest first; never their secrets',
        querystring: z.strictObject(page),
        response: { 200: pageOf(apiKey) },
      },
    },
    (request) => keys.list(request.query),
  )
  app.post(
    '/v1/keys',
    {
      config,
      schema: {
        tags,
        summary: 'Make an API key; its secret is told in this answer only',
        body: createKey,
        response: { 201: apiKeyWithSecret },
      },
    },
    async (request, reply) => {
      const { key, secret } = await keys.create(request.body, principalOf(request))
      return reply
        .code(201)
        .header('location', `/v1/keys/${key.id}`)
        .header('cache-control', 'no-store')
        .send({ ...key, secret: secret.expose() })
    },
  )
  app.get(
    '/v1/keys/:id',
    { config, schema: { tags, summary: 'One API key', params: keyParams, response: { 200: apiKey } } },
    (request) => keys.get(request.params.id),
  )
  app.post(
    '/v1/keys/:id/rotate',
    {
      config,
      schema: {
        tags,
        summary: 'Another secret for the key, told in this answer only; the one before opens for a while yet',
        params: keyParams,
        body: rotateKey,
        response: { 200: apiKeyWithSecret },
      },
    },
    async (request, reply) => {
      const { key, secret } = await keys.rotate(request.params.id, request.body, principalOf(request))
      return reply.header('cache-control', 'no-store').send({ ...key, secret: secret.expose() })
    },
  )
  app.delete(
    '/v1/keys/:id',
    {
      config,
      schema: {
        tags,
        summary: 'Revoke the key at once and for ever; may be repeated',
        params: keyParams,
        response: { 204: noContent },
      },
    },
    async (request, reply) => {
      await keys.revoke(request.params.id)
      return reply.code(204).send()
    },
  )
}
