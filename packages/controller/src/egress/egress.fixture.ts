/** A machine's end of the egress link, and servers for it to reach. Real sockets on loopback. */
import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { newId } from '@anteroom/base'
import { defaultProjectId } from '@anteroom/contract'
import type { Store } from '../store/store.ts'

export async function listen(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

/** Two ends of one TCP connection. */
export async function socketPair(): Promise<{ ours: Socket; theirs: Socket }> {
  const server = createServer()
  const port = await listen(server)
  const arrived = once(server, 'connection') as Promise<[Socket]>
  const theirs = connect(port, '127.0.0.1')
  const [ours] = await arrived
  server.close()
  return { ours, theirs }
}

/** What the guest does with its end. */
export class Guest {
  readonly session: ClientHttp2Session

  constructor(link: Duplex) {
    this.session = connectHttp2('http://egress', { createConnection: () => link })
    this.session.on('error', () => {})
  }

  /** One connection of the browser to its proxy. */
  open(): ClientHttp2Stream {
    const stream = this.session.request({ ':method': 'CONNECT', ':authority': 'egress' })
    stream.on('error', () => {})
    return stream
  }

  /** Sends `request` on a connection of its own; what comes back until the proxy ends it. */
  async ask(request: string): Promise<string> {
    const stream = this.open()
    stream.write(request)
    return (await readAll(stream)).toString('latin1')
  }

  /** A tunnel; gives the stream behind the proxy's answer. @throws with the answer when it is not 200 */
  async tunnel(authority: string): Promise<ClientHttp2Stream> {
    const stream = this.open()
    stream.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
    const head = await readHead(stream)
    if (head.startsWith('HTTP/1.1 200 ')) return stream
    stream.close()
    throw new Error(head)
  }
}

/** A session's row and no more of it. */
export async function newSession({ db }: Store): Promise<string> {
  const id = newId('session')
  const words = {
    provider: 'site',
    provider_definition: '{}',
    subject: 'me',
    entry_hash: id,
    project_id: defaultProjectId,
  }
  const row = {
    id,
    version: 1,
    status: 'queued',
    created_at: 0,
    expires_at: 0,
    capture_requested: 0,
    attempt: 0,
  } as const
  await db
    .insertInto('sessions')
    .values({ ...row, ...words, not_before: 0 })
    .execute()
  return id
}

export async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Up to the empty line; what is behind it stays in the stream. */
async function readHead(stream: Duplex): Promise<string> {
  let head = Buffer.alloc(0)
  for (;;) {
    const chunk: Buffer | null = stream.read()
    if (!chunk) {
      if (stream.destroyed || stream.readableEnded) return head.toString('latin1')
      await Promise.race([once(stream, 'readable'), once(stream, 'close')])
      continue
    }
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) continue
    if (end + 4 < head.length) stream.unshift(head.subarray(end + 4))
    return head.subarray(0, end).toString('latin1')
  }
}
