import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyReply } from 'fastify'
import type { HttpApp, RouteContext } from '../http-deps.ts'
import { framedBy } from '../security-headers.ts'
import { answerPath } from './operator-oidc.ts'

const open = { config: { access: { scope: 'public' } }, schema: { hide: true } } as const

/** The built pages: names of assets hold their content's hash, so they are kept for ever; HTML is asked for each time. */
export async function webRoutes(app: HttpApp, { webRoot, config, origins }: RouteContext): Promise<void> {
  await app.register(fastifyStatic, { root: webRoot, serve: false, cacheControl: false })
  const html = (name: string) => (_request: unknown, reply: FastifyReply) =>
    reply.header('cache-control', 'no-cache').sendFile(name)
  const connectPage = existsSync(join(webRoot, 'connect.html')) ? 'connect.html' : 'index.html'
  app.get('/', open, html('index.html'))
  app.get('/sign-in', open, html('index.html'))
  app.get(answerPath, open, html('index.html'))
  const helmet = framedBy(config.hosted_page.frame_ancestors, (request) => origins.find(request))
  app.get('/connect/*', { ...open, helmet }, html(connectPage))
  app.get<{ Params: { '*': string } }>('/assets/*', open, (request, reply) =>
    reply.sendFile(`assets/${request.params['*']}`, { cacheControl: true, maxAge: '1y', immutable: true }),
  )
  // Icons and the like beside index.html.
  app.get<{ Params: { file: string } }>('/:file(^[\\w-]+\\.[a-z0-9]+$)', open, (request, reply) =>
    reply.header('cache-control', 'no-cache').sendFile(request.params.file),
  )
}
