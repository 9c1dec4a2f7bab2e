import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { AppError, type Scope } from '@anteroom/base'
import { egressUpgrade, errorDefinitions } from '@anteroom/contract'
import type { z } from 'zod'

export interface Call {
  /** The parsed JSON body. @throws AppError invalid_request with the fields, body_too_large, unsupported_media_type */
  body<T>(schema: z.ZodType<T>): Promise<T>
  readonly query: URLSearchParams
  /** Ends when the caller hangs up. */
  readonly scope: Scope
}

/** JSON for an object, text for a string, 204 for nothing. */
export interface Answer {
  readonly status: number
  readonly content?: object | string
}

export interface LinkRoutes {
  readonly isAuthorised: (authorization: string | undefined, route: string) => boolean
  readonly routes: Readonly<Record<string, (call: Call) => Promise<Answer> | Answer>>
  readonly egress: (connection: Duplex) => void
}

const maxBodyBytes = 256 * 1024
const egressRoute = 'GET /v1/egress'

/** HTTP/1.1 towards the controller: parses, authorises, answers. */
export function createLinkServer({ isAuthorised, routes, egress }: LinkRoutes, scope: Scope): Server {
  const authorise = (request: IncomingMessage, route: string): void => {
    // A page in the machine's own browser can reach this port; browsers say so, and the controller is none.
    if (request.headers.origin !== undefined || request.headers['sec-fetch-site'] !== undefined)
      throw new AppError('origin_refused', { detail: 'pages may not speak to the agent' })
    if (!isAuthorised(request.headers.authorization, route))
      throw new AppError('unauthenticated', { detail: 'send the secret of the claim' })
  }

  const answer = async (request: IncomingMessage, caller: Scope): Promise<Answer> => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://agent')
    const route = `${request.method} ${pathname}`
    authorise(request, route)
    const handle = Object.hasOwn(routes, route) ? routes[route] : undefined
    if (!handle) throw new AppError('not_found', { detail: route })
    return await handle({ body: (schema) => readBody(request, schema), query: searchParams, scope: caller })
  }

  const server = createServer((request, response) => {
    const operation = scope.run({ name: 'request' }, async (caller) => {
      response.on('close', () => caller.cancel())
      return await answer(request, caller)
    })
    operation.then(
      (result) => send(response, result),
      (error: unknown) => sendProblem(response, error, scope),
    )
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    try {
      const route = `${request.method} ${request.url}`
      authorise(request, route)
      if (route !== egressRoute || request.headers.upgrade !== egressUpgrade)
        throw new AppError('not_found', { detail: route })
    } catch (error) {
      const { code } = AppError.from(error)
      socket.end(`HTTP/1.1 ${errorDefinitions[code].status} ${code}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`)
      return
    }
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${egressUpgrade}\r\n\r\n`)
    if (head.length > 0) socket.unshift(head)
    egress(socket)
  })
  return server
}

async function readBody<T>(request: IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? ''))
    throw new AppError('unsupported_media_type', { detail: 'send application/json' })
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBodyBytes) throw new AppError('body_too_large', { detail: `at most ${maxBodyBytes} bytes` })
    chunks.push(chunk)
  }
  let content: unknown
  try {
    content = JSON.parse(Buffer.concat(chunks).toString())
  } catch (error) {
    throw new AppError('invalid_request', { detail: 'the body is not JSON', cause: error })
  }
  const result = schema.safeParse(content)
  if (result.success) return result.data
  const fields = result.error.issues.map(({ path, message }) => ({ pointer: `/${path.join('/')}`, message }))
  const detail = fields.map(({ pointer, message }) => `${pointer}: ${message}`).join('; ')
  throw new AppError('invalid_request', { detail: detail.slice(0, 1000), fields, cause: result.error })
}

function send(response: ServerResponse, { status, content }: Answer, type = 'application/json'): void {
  if (content === undefined) return void response.writeHead(status).end()
  const isText = typeof content === 'string'
  response.writeHead(status, { 'content-type': isText ? 'text/plain; charset=utf-8' : type })
  response.end(isText ? content : JSON.stringify(content))
}

function sendProblem(response: ServerResponse, error: unknown, scope: Scope): void {
  if (response.destroyed) return
  const { code, detail, fields } = AppError.from(error)
  if (code === 'internal') scope.log.error({ error }, 'a request failed')
  // The rest of a refused body is not read.
  response.setHeader('connection', 'close')
  const content = { code, detail, fields }
  send(response, { status: errorDefinitions[code].status, content }, 'application/problem+json')
}
