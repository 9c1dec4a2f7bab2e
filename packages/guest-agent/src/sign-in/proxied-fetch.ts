import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'

interface FetchOptions {
  readonly method: string
  readonly headers: Record<string, string>
  readonly body?: URLSearchParams | string | null | undefined
  readonly signal?: AbortSignal | undefined
}

const maxAnswerBytes = 1024 * 1024

/** `fetch` through the machine's only way out, without redirects. Node 20 has no proxy support of its own. */
export const createProxiedFetch =
  (proxyPort: number) =>
  async (address: string, options: FetchOptions): Promise<Response> => {
    const url = new URL(address)
    const proxy = { host: '127.0.0.1', port: proxyPort, ...(options.signal && { signal: options.signal }) }
    const { method, body } = options
    const headers = { ...options.headers, host: url.host, connection: 'close' }
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const send = (socket?: Socket): void => {
        const request = socket
          ? httpsRequest(url, {
              method,
              headers,
              createConnection: () => tlsConnect({ socket, servername: url.hostname, ALPNProtocols: ['http/1.1'] }),
              ...(options.signal && { signal: options.signal }),
            })
          : httpRequest({ ...proxy, path: url.href, method, headers }) // absolute-form, RFC 9112 section 3.2.2
        request.on('response', resolve).on('error', reject).end(body?.toString())
      }
      if (url.protocol === 'http:') return send()
      const authority = `${url.hostname}:${url.port || 443}`
      httpRequest({ ...proxy, method: 'CONNECT', path: authority, headers: { host: authority } })
        .on('connect', ({ statusCode }, socket: Socket) => {
          if (statusCode === 200) return send(socket)
          socket.destroy()
          reject(new Error(`the egress proxy answered ${statusCode} for ${authority}`))
        })
        .on('error', reject)
        .end()
    })
    return await toResponse(response)
  }

async function toResponse(message: IncomingMessage): Promise<Response> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxAnswerBytes) throw new Error(`the answer is larger than ${maxAnswerBytes} bytes`)
    chunks.push(chunk)
  }
  const headers = new Headers()
  for (const [name, values] of Object.entries(message.headersDistinct))
    for (const value of values ?? []) headers.append(name, value)
  const status = message.statusCode ?? 502
  const hasNoBody = status === 204 || status === 205 || status === 304
  return new Response(hasNoBody ? null : Buffer.concat(chunks), { status, headers })
}
