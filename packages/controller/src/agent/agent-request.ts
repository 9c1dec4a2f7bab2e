import { type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import { type Scope, systemErrorCode } from '@anteroom/base'
import { agentPort, egressUpgrade } from '@anteroom/contract'

/** Notices within minutes that a machine went away without a word; its kernel would not tell an idle connection. */
const keepAliveMs = 15_000

export interface AgentRequest {
  readonly ip: string
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly bearer?: string
  readonly body?: object
  /** Of the answer's body. */
  readonly maxBytes: number
  /** What to do with a longer one. */
  readonly whenLonger: 'fail' | 'cut'
}

export interface AgentResponse {
  readonly status: number
  readonly body: Buffer
}

/** The answer was longer than allowed, or is not HTTP: not a matter of trying again. */
export class UnusableAnswer extends Error {
  override readonly name = 'UnusableAnswer'
}

/** One request on a connection of its own. @throws UnusableAnswer, system errors, AppError at the scope's end */
export async function askAgent(asked: AgentRequest, scope: Scope): Promise<AgentResponse> {
  const body = asked.body === undefined ? undefined : JSON.stringify(asked.body)
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request({
      ...target(asked, scope),
      headers: {
        ...authorization(asked),
        connection: 'close',
        ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
    })
    outgoing.on('response', resolve)
    outgoing.on('error', (error) => reject(isNotHttp(error) ? new UnusableAnswer('not HTTP', { cause: error }) : error))
    outgoing.on('close', () => reject(new Error('the connection was closed without an answer')))
    outgoing.end(body)
  })
  return { status: response.statusCode ?? 0, body: await readBody(response, asked) }
}

async function readBody(response: IncomingMessage, { maxBytes, whenLonger }: AgentRequest): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes <= maxBytes) continue
    // Leaving the loop destroys the response and its connection.
    if (whenLonger === 'cut') break
    throw new UnusableAnswer(`more than ${maxBytes} bytes`)
  }
  return Buffer.concat(chunks).subarray(0, maxBytes)
}

/** The connection after `101`. It outlives the scope. @throws system errors, AppError at the scope's end */
export async function upgradeToEgress(asked: Pick<AgentRequest, 'ip' | 'bearer'>, scope: Scope): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const outgoing = request({
      ...target({ ip: asked.ip, method: 'GET', path: '/v1/egress' }, scope),
      headers: { ...authorization(asked), connection: 'Upgrade', upgrade: egressUpgrade },
    })
    outgoing.on('upgrade', (response, socket: Socket, head) => {
      // Between here and whoever serves the link an error may come; without a listener it would end the process.
      socket.on('error', () => {})
      if (response.headers.upgrade?.toLowerCase() !== egressUpgrade) {
        socket.destroy()
        return reject(new UnusableAnswer(`upgraded to ${response.headers.upgrade}`))
      }
      scope.undo(() => void socket.destroy())
      socket.setTimeout(0).setKeepAlive(true, keepAliveMs).setNoDelay(true)
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
    outgoing.on('response', (response) => {
      response.destroy()
      reject(new Error(`answered ${response.statusCode} to the upgrade`))
    })
    outgoing.on('error', reject)
    outgoing.on('close', () => reject(new Error('the connection was closed without an answer')))
    outgoing.end()
  })
}

const target = ({ ip, method, path }: Pick<AgentRequest, 'ip' | 'method' | 'path'>, { signal }: Scope) => ({
  host: ip,
  port: agentPort,
  method,
  path,
  signal,
  agent: false,
})

const authorization = ({ bearer }: Pick<AgentRequest, 'bearer'>) => bearer && { authorization: `Bearer ${bearer}` }

/** llhttp's own codes (HPE_INVALID_CONSTANT, HPE_HEADER_OVERFLOW and so on). */
const isNotHttp = (error: unknown): boolean => systemErrorCode(error)?.startsWith('HPE_') ?? false
