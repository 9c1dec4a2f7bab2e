/** The edge: parses, authorises, answers; decides nothing. */
import type { IncomingMessage } from 'node:http'
import type { Server } from 'node:https'
import { AppError, type Clock, type Log, newId, systemErrorCode } from '@anteroom/base'
import fastifyCookie from '@fastify/cookie'
import fastifyHelmet from '@fastify/helmet'
import fastifyRateLimit from '@fastify/rate-limit'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { writeDownWhoAsks } from './asker-of.ts'
import { authorise } from './authorisation.ts'
import { acceptJsonOnly, bodyLimitBytes } from './body.ts'
import { answerClientError } from './client-error.ts'
import type { HttpApp, HttpDeps, RouteContext } from './http-deps.ts'
import { describeApi } from './openapi.ts'
import { Origins } from './origins.ts'
import { sendProblem } from './problem.ts'
import { Proxies } from './proxies.ts'
import { logAnswers } from './request-log.ts'
import { ReturnAddresses } from './return-addresses.ts'
import { RouteTable } from './route-table.ts'
import { auditRoutes } from './routes/audit.ts'
import { connectionRoutes } from './routes/connections.ts'
import { doctorRoutes } from './routes/doctor.ts'
import { hostedPageRoutes } from './routes/hosted-page.ts'
import { imageRoutes } from './routes/images.ts'
import { keyRoutes } from './routes/keys.ts'
import { acceptWebSockets, liveRoutes, terminateWebSockets, ticketRoutes } from './routes/live.ts'
import { machineRoutes } from './routes/machines.ts'
import { operatorRoutes } from './routes/operator.ts'
import { operatorOidcRoutes } from './routes/operator-oidc.ts'
import { projectRoutes } from './routes/projects.ts'
import { providerRoutes } from './routes/providers.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { systemRoutes } from './routes/system.ts'
import { vaultRoutes } from './routes/vault.ts'
import { viewerRoutes } from './routes/viewers.ts'
import { webRoutes } from './routes/web.ts'
import { securityHeaders } from './security-headers.ts'
import { keepTlsPairFresh, readTlsPair, type TlsPair } from './tls.ts'
import { validatorCompiler } from './validation.ts'

export type { HttpDeps } from './http-deps.ts'

export interface Http {
  /** Gives the address to open. @throws AppError config_invalid when the address cannot be listened at */
  listen(host: string, port: number): Promise<string>
  /** Ends within about two seconds, whatever clients do. */
  close(): Promise<void>
  readonly app: HttpApp
  readonly routes: RouteTable
}

/** How long clients have to take their last bytes when the server stops. */
const closingMs = 1500

export async function createHttp(deps: HttpDeps): Promise<Http> {
  const stopping = new AbortController()
  const { listen, public_url } = deps.config
  const pair = listen.tls && (await readTlsPair(listen.tls))
  const origins = new Origins(listen.host, public_url, pair === undefined ? 'http' : 'https')
  const proxies = new Proxies(deps.config)
  const log = deps.log.child({ module: 'http' })
  const returns = new ReturnAddresses(deps.config.hosted_page.return_origins)
  const context: RouteContext = { ...deps, log, origins, returns, stopping: stopping.signal }
  const problem = (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
    sendProblem(error, request, reply, log)
  const app = newApp({ pair, proxies, problem, log })
  const routes = new RouteTable(app)
  app.setErrorHandler(problem)
  await prepare(app, context, proxies)
  app.setNotFoundHandler((request, reply) => {
    const methods = routes.methodsOf(request.url.split('?', 1)[0] ?? '')
    if (methods.length === 0) return problem(new AppError('not_found'), request, reply)
    return problem(new AppError('method_not_allowed'), request, reply.header('allow', methods.join(', ')))
  })
  await registerRoutes(app, context)
  await app.ready()
  return {
    app,
    routes,
    async listen(host, port) {
      origins.listening(host)
      const url = await app
        .listen({ host, port })
        .catch((error: unknown) => Promise.reject(cannotListen(host, port, error)))
      log.info({ url }, 'listening')
      if (listen.tls && pair) {
        // Served over TLS, it is Node's server for that; Fastify's type does not tell.
        const server = app.server as unknown as Server
        void keepTlsPairFresh(pair, { files: listen.tls, server, log, clock: deps.clock, signal: stopping.signal })
      }
      return url
    },
    close: () => stop(app, stopping, deps.clock),
  }
}

function cannotListen(host: string, port: number, cause: unknown): AppError {
  const whys: Partial<Record<string, string>> = {
    EADDRINUSE: 'another program listens there. Stop that one, or choose another port: npm start -- --port N',
    EACCES: 'this user may not use that port. Choose one from 1024 on: npm start -- --port N',
    EADDRNOTAVAIL: 'that is no address of this host',
  }
  const why = whys[systemErrorCode(cause) ?? ''] ?? (cause instanceof Error ? cause.message : String(cause))
  return new AppError('config_invalid', { detail: `listen ${host}:${port}: ${why}`, cause })
}

async function stop(app: HttpApp, stopping: AbortController, clock: Clock): Promise<void> {
  stopping.abort()
  const closed = app.close()
  const settled = new AbortController()
  await Promise.race([closed, clock.delay(closingMs, settled.signal)])
  settled.abort()
  terminateWebSockets(app)
  app.server.closeAllConnections()
  await closed
}

interface Made {
  readonly pair: TlsPair | undefined
  readonly proxies: Proxies
  readonly problem: (error: unknown, request: FastifyRequest, reply: FastifyReply) => FastifyReply
  readonly log: Log
}

function newApp({ pair, proxies, problem, log }: Made): HttpApp {
  const server = {
    // A handshake is a GET (RFC 6455, section 4.1): the body of another method would be waited for on a socket that gives none.
    shouldUpgradeCallback: ({ method, headers }: IncomingMessage) =>
      method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket',
    // Origins asks for it, with a problem; Node's own answer has no body.
    requireHostHeader: false,
  }
  const app = Fastify({
    bodyLimit: bodyLimitBytes,
    requestIdHeader: false,
    genReqId: () => newId('request'),
    exposeHeadRoutes: false,
    return503OnClosing: false,
    // A client that sends slowly does not hold a connection for ever.
    requestTimeout: 30_000,
    trustProxy: (address) => proxies.isBelieved(address),
    frameworkErrors(error, request, reply) {
      // The hook that closes the socket of a refused handshake is not reached, and nothing else would ever close it.
      if (request.raw.headers.upgrade !== undefined) reply.raw.once('finish', () => request.raw.socket.destroySoon())
      problem(error, request, reply)
    },
    clientErrorHandler: (error, socket) => answerClientError(error, socket, log),
    ...(pair ? { https: { ...server, ...pair } as unknown as null } : { http: server }),
  }).withTypeProvider<ZodTypeProvider>()
  // Whatever else than 100-continue is expected is passed over (RFC 9110, section 10.1.1); Node's own answer is no problem.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  acceptJsonOnly(app)
  return app
}

/** Everything that happens to a request before its route. */
async function prepare(app: HttpApp, context: RouteContext, proxies: Proxies): Promise<void> {
  const { config, access, origins, stopping, log } = context
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
    proxies.requireProxy(request)
    if (stopping.aborted) throw new AppError('shutting_down', { retryAfterSeconds: 5 })
  })
  logAnswers(app, log)
  await app.register(
    fastifyHelmet,
    securityHeaders(config.public_url, (request) => origins.find(request)),
  )
  await app.register(fastifyCookie)
  await app.register(fastifyRateLimit, { global: false })
  await acceptWebSockets(app, context)
  authorise(app, access, origins)
  writeDownWhoAsks(app)
  await describeApi(app)
}

async function registerRoutes(app: HttpApp, context: RouteContext): Promise<void> {
  sessionRoutes(app, context)
  ticketRoutes(app, context)
  liveRoutes(app, context)
  viewerRoutes(app, context)
  hostedPageRoutes(app, context)
  connectionRoutes(app, context)
  keyRoutes(app, context)
  projectRoutes(app, context)
  providerRoutes(app, context)
  machineRoutes(app, context)
  imageRoutes(app, context)
  doctorRoutes(app, context)
  auditRoutes(app, context)
  vaultRoutes(app, context)
  operatorRoutes(app, context)
  operatorOidcRoutes(app, context)
  systemRoutes(app, context)
  await webRoutes(app, context)
}
