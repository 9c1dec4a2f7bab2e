/** The HTTP proxy (RFC 9110 section 7) that a machine's browser talks to: CONNECT, absolute-form requests, WebSockets. */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type Duplex, pipeline } from 'node:stream'
import { AppError, type Scope } from '@anteroom/base'
import { parseDestination } from './destination.ts'
import { dial } from './dial.ts'
import type { EgressPolicy, Resolve } from './egress.ts'
import type { EgressLog } from './egress-log.ts'
import { endToEndHeaders, withoutHost } from './end-to-end-headers.ts'
import { errorAnswer, rawErrorAnswer, rawHead } from './error-page.ts'
import { ProxyConnection } from './proxy-connection.ts'

const maxHeaderBytes = 32 * 1024
/** For the first bytes of a request, and between two requests on one connection. */
const requestWaitMs = 30_000

export interface ProxyParts {
  readonly policy: EgressPolicy
  readonly log: EgressLog
  readonly resolve: Resolve
  readonly scope: Scope
}

/** Never listens; connections are handed to it by `emit('connection', stream)`. */
export function createProxy(parts: ProxyParts): Server {
  const server = createServer({
    maxHeaderSize: maxHeaderBytes,
    keepAliveTimeout: requestWaitMs,
    shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
  })
  // Node enforces its own header and request timeouts on listening servers only.
  server.timeout = requestWaitMs
  server.on('connect', (asked: IncomingMessage, client: Duplex, head: Buffer) => {
    takeOver(client, () => connectThrough(parts, asked, client, head))
  })
  server.on('upgrade', (asked: IncomingMessage, client: Duplex, head: Buffer) => {
    takeOver(client, () => upgradeThrough(parts, asked, client, head))
  })
  server.on('request', (asked, answer) => {
    forward(parts, asked, answer).catch((error: unknown) => refuse(answer, AppError.from(error)))
  })
  server.on('clientError', (error, client) => {
    if (client.writable) client.end(rawErrorAnswer(new AppError('invalid_request', { cause: error })))
    else client.destroy()
  })
  return server
}

/** A connection that is no HTTP any more from here on. */
function takeOver(client: Duplex, serve: () => Promise<void>): void {
  client.on('error', () => {})
  keepOpen(client)
  serve().catch((error: unknown) => {
    client.end(rawErrorAnswer(AppError.from(error)))
    if (client instanceof ProxyConnection) client.setTimeout(requestWaitMs, () => client.destroy())
  })
}

/** The idle limit of what follows is that of the connection to the outside. */
const keepOpen = (client: Duplex): void => {
  if (client instanceof ProxyConnection) client.setTimeout(0)
}

async function connectThrough(parts: ProxyParts, asked: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
  const outside = await open(parts, asked.url ?? '', undefined, client)
  client.write('HTTP/1.1 200 Connection established\r\n\r\n')
  outside.write(head)
  join(client, outside)
}

/** The answer is not looked at: whatever the server says to the upgrade is said to the browser. */
async function upgradeThrough(parts: ProxyParts, asked: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
  const { authority, path } = absoluteForm(asked)
  const outside = await open(parts, authority, 80, client)
  const headers = [...requestHeaders(asked, authority), 'Connection', 'Upgrade', 'Upgrade', 'websocket']
  outside.write(rawHead(`${asked.method} ${path} HTTP/1.1`, headers), 'latin1')
  outside.write(head)
  join(client, outside)
}

async function forward(parts: ProxyParts, asked: IncomingMessage, answer: ServerResponse): Promise<void> {
  keepOpen(asked.socket)
  const { authority, path } = absoluteForm(asked)
  const outside = await open(parts, authority, 80, answer)
  answer.on('close', () => outside.destroy())
  const onward = request({
    createConnection: () => outside,
    method: asked.method ?? 'GET',
    path,
    headers: [...requestHeaders(asked, authority), 'Connection', 'close'],
    maxHeaderSize: maxHeaderBytes,
  })
  const fail = (error: unknown): void =>
    refuse(answer, new AppError('egress_unreachable', { detail: `${authority} gave no usable answer`, cause: error }))
  onward.on('error', fail)
  onward.on('close', () => {
    if (!answer.headersSent) fail(undefined)
  })
  onward.on('response', (response) => {
    try {
      answer.writeHead(response.statusCode ?? 0, response.statusMessage, endToEndHeaders(response.rawHeaders))
      pipeline(response, answer, () => outside.destroy())
    } catch (error) {
      // Node's client takes answers that its server refuses to send, such as status 000.
      fail(error)
    }
  })
  // A failed upload shows as an error of `onward`, or as the answer that the server gave before its end.
  pipeline(asked, onward, () => {})
}

/** @throws AppError invalid_request, egress_denied, egress_unreachable */
async function open(
  { policy, log, resolve, scope }: ProxyParts,
  authority: string,
  defaultPort: number | undefined,
  client: Duplex | ServerResponse,
): Promise<Socket> {
  const destination = parseDestination(authority, defaultPort)
  if (!destination) throw new AppError('invalid_request', { detail: 'this is not the address of a host' })
  try {
    const socket = await dial(policy, destination, resolve, scope)
    log.track(destination, socket)
    if (client.destroyed) socket.destroy()
    return socket
  } catch (error) {
    const { code, detail } = AppError.from(error)
    log.note(destination, code === 'egress_denied' ? 'refused' : 'unreachable', detail ?? code)
    throw error
  }
}

/** @throws AppError invalid_request */
function absoluteForm(asked: IncomingMessage): { authority: string; path: string } {
  const groups = /^http:\/\/(?<authority>[^/?#]+)(?<path>[!-"$-~]*)$/i.exec(asked.url ?? '')?.groups
  if (!groups?.authority) throw new AppError('invalid_request', { detail: 'a proxy takes http:// addresses' })
  const path = groups.path ?? ''
  return { authority: groups.authority, path: path.startsWith('/') ? path : `/${path}` }
}

/** `Host` is the authority that was asked for, whatever the header said (RFC 9112 section 3.2.2). */
const requestHeaders = (asked: IncomingMessage, authority: string): string[] => [
  'Host',
  authority,
  ...withoutHost(endToEndHeaders(asked.rawHeaders)),
]

function refuse(answer: ServerResponse, error: AppError): void {
  if (answer.headersSent) return void answer.destroy()
  const { status, headers, body } = errorAnswer(error)
  answer.writeHead(status, headers).end(body)
}

/** Both ways at the pace of the slower side. An end of one direction is passed on; a failure of either ends both. */
function join(client: Duplex, outside: Socket): void {
  pipeline(client, outside, () => {})
  pipeline(outside, client, () => {})
}
