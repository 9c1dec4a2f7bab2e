import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import { type Log, silentLog, systemClock } from '@anteroom/base'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { openStore, type Store } from '../store/store.ts'
import { judgedAddresses } from './dial.ts'
import { Guest, listen, newSession, readAll, socketPair } from './egress.fixture.ts'
import { createEgress, type Egress, type EgressPolicy } from './egress.ts'

const machineId = `vm_${'a'.repeat(24)}`
const policy: EgressPolicy = { allow: ['site.test', '*.open.test'], hosts: { 'site.test': '127.0.0.1' } }
const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex')
const tcpSockets = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length

let egress: Egress
let store: Store
let guest: Guest
let session: string
let answers: string[]
let logged: object[]
let servers: Server[]
let idleSockets: number

beforeAll(async () => {
  store = await openStore(':memory:')
  return () => store.close()
})
beforeEach(async () => {
  idleSockets = tcpSockets()
  answers = []
  logged = []
  servers = []
  const log: Log = { ...silentLog, info: (fields) => void logged.push(fields), child: () => log }
  // A name server in the hands of somebody else.
  const resolve = async (): Promise<string[]> => [answers.shift() ?? '127.0.0.1']
  egress = createEgress({ log, clock: systemClock, store, resolve })
  session = await newSession(store)
  guest = await attach(policy)
})
afterEach(async () => {
  guest.session.destroy()
  egress.detach(machineId)
  for (const server of servers) server.close()
  // Nothing may be left, whatever the test did.
  await vi.waitFor(() => expect(tcpSockets()).toBe(idleSockets), { timeout: 5000 })
})

async function attach(wanted: EgressPolicy): Promise<Guest> {
  const { ours, theirs } = await socketPair()
  egress.attach({ machine: machineId, session }, wanted, ours)
  return new Guest(theirs)
}

async function website(handle: (request: IncomingMessage, response: ServerResponse) => unknown): Promise<number> {
  const server = createHttpServer((request, response) => void handle(request, response))
  servers.push(server)
  return await listen(server)
}

async function tcpServer(handle: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    handle(socket)
  })
  servers.push(server)
  return await listen(server)
}

describe('tunnels', () => {
  test('10 MB arrive as they were sent, both ways at once, and are counted', async () => {
    const port = await tcpServer((socket) => socket.pipe(socket))
    const stream = await guest.tunnel(`site.test:${port}`)
    const data = randomBytes(10 * 1024 * 1024)
    stream.end(data)
    expect(sha256(await readAll(stream))).toBe(sha256(data))
    const bytes = { bytes_up: data.length, bytes_down: data.length }
    expect(await egress.hostsOf(session)).toMatchObject([{ host: 'site.test', port, ...bytes }])
  })

  test('the end of one direction is passed on while the other goes on', async () => {
    const port = await tcpServer((socket) => {
      let bytes = 0
      socket.on('data', (chunk) => {
        bytes += chunk.length
      })
      socket.on('end', () => socket.end(`answer to ${bytes} bytes`))
    })
    const stream = await guest.tunnel(`site.test:${port}`)
    stream.end('x'.repeat(5000))
    expect((await readAll(stream)).toString()).toBe('answer to 5000 bytes')
  })

  test('a machine that breaks off half-way leaves no socket', async () => {
    const gone = Promise.withResolvers<void>()
    const port = await tcpServer((socket) => {
      socket.on('close', () => gone.resolve())
      const flood = (): void => {
        while (socket.write(Buffer.alloc(65536)));
      }
      socket.on('drain', flood)
      flood()
    })
    const stream = await guest.tunnel(`site.test:${port}`)
    await once(stream, 'readable')
    stream.destroy()
    await gone.promise
  })

  test('a server that breaks off half-way ends the stream', async () => {
    const port = await tcpServer((socket) => {
      socket.write('half')
      socket.once('data', () => socket.resetAndDestroy())
    })
    const stream = await guest.tunnel(`site.test:${port}`)
    stream.write('go')
    stream.resume()
    await new Promise((resolve) => stream.once('close', resolve))
    expect(stream.rstCode).not.toBe(0)
  })

  test('the link going away closes everything of the machine', async () => {
    const gone = Promise.withResolvers<void>()
    const port = await tcpServer(
      (socket) =>
        void socket
          .on('close', () => gone.resolve())
          .on('end', () => socket.end())
          .resume(),
    )
    await guest.tunnel(`site.test:${port}`)
    expect(egress.isAttached(machineId)).toBe(true)
    guest.session.destroy()
    await gone.promise
    await vi.waitFor(() => expect(egress.isAttached(machineId)).toBe(false))
    expect(await egress.hostsOf(session)).toHaveLength(1)
  })

  test('a new link replaces the old one and goes on counting; what was counted outlives the machine', async () => {
    const port = await tcpServer((socket) => socket.pipe(socket))
    await guest.tunnel(`site.test:${port}`)
    const first = guest
    guest = await attach(policy)
    await vi.waitFor(() => expect(first.session.destroyed).toBe(true))
    await guest.tunnel(`site.test:${port}`)
    egress.detach(machineId)
    expect(egress.isAttached(machineId)).toBe(false)
    expect(await egress.hostsOf(session)).toMatchObject([{ host: 'site.test', connections: 2 }])
  })

  test('close ends every link, so that nothing holds the process', async () => {
    await egress.close()
    await vi.waitFor(() => expect(guest.session.destroyed).toBe(true))
    expect(egress.isAttached(machineId)).toBe(false)
  })

  test('at most 128 at once, and what is refused does not disturb them', async () => {
    let connections = 0
    const port = await tcpServer((socket) => {
      connections++
      socket.pipe(socket)
    })
    const first = await guest.tunnel(`site.test:${port}`)
    const refused: Promise<unknown>[] = []
    for (let n = 0; n < 160; n++) refused.push(guest.tunnel(`site.test:${port}`).catch(() => {}))
    await vi.waitFor(() => expect(connections).toBe(128))
    first.write('still served')
    expect(String(await once(first, 'data'))).toBe('still served')
    guest.session.destroy()
    await Promise.all(refused)
  })
})

describe('plain requests', () => {
  test('arrive without what concerns the connection, and the answer goes back', async () => {
    let seen: IncomingMessage | undefined
    const port = await website(async (request, response) => {
      seen = request
      response.setHeader('Set-Cookie', ['a=1', 'b=2'])
      response.end(`got ${(await readBody(request)).length}`)
    })
    const authority = `site.test:${port}`
    const answer = await guest.ask(
      `POST http://${authority}/a/../b?c=d HTTP/1.1\r\nHost: other.test\r\nProxy-Connection: keep-alive\r\n` +
        'Proxy-Authorization: Basic eDp5\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nX-Kept: 2\r\nContent-Length: 3\r\n\r\nabc',
    )
    expect(seen?.url).toBe('/a/../b?c=d')
    expect(seen?.headers).toEqual({ host: authority, 'x-kept': '2', 'content-length': '3', connection: 'close' })
    expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n/)
    expect(answer).toMatch(/Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n/)
    expect(answer).toContain('got 3')
  })

  test('two in a row on one connection, the second chunked', async () => {
    const port = await website(async (request, response) => {
      response.end(`${request.url} ${await readBody(request)}`)
    })
    const head = `http://site.test:${port}`
    const answer = await guest.ask(
      `GET ${head}/1 HTTP/1.1\r\nHost: site.test\r\n\r\n` +
        `POST ${head} HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    )
    expect(answer.match(/HTTP\/1.1 200/g)).toHaveLength(2)
    expect(answer).toContain('/1 ')
    expect(answer).toContain('/ abc')
  })

  test('10 MB arrive as they were sent', async () => {
    const data = randomBytes(10 * 1024 * 1024)
    const port = await website((_request, response) => response.end(data))
    const answer = await guest.ask(
      `GET http://site.test:${port}/ HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n`,
    )
    const body = Buffer.from(answer.slice(answer.indexOf('\r\n\r\n') + 4), 'latin1')
    expect(sha256(body)).toBe(sha256(data))
  })

  test('a redirect is handed over, not followed; where it leads is judged again', async () => {
    let inside = 0
    const privatePort = await website((_request, response) => {
      inside++
      response.end('secret')
    })
    const port = await website((_request, response) => {
      response.writeHead(302, { Location: `http://127.0.0.1:${privatePort}/` }).end()
    })
    const first = await guest.ask(`GET http://site.test:${port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    expect(first).toMatch(/^HTTP\/1.1 302/)
    const location = /Location: (\S+)/i.exec(first)?.[1]
    const second = await guest.ask(`GET ${location} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    expect(second).toMatch(/^HTTP\/1.1 403/)
    expect(inside).toBe(0)
  })

  test.each([
    ['a status that is none', 'HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n'],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['nothing at all', ''],
    [
      'a switch of protocols that nobody asked for',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    ],
  ])('a server that answers %s: 502 with a page', async (_what, bytes) => {
    const port = await tcpServer((socket) => socket.once('data', () => socket.end(bytes)))
    const answer = await guest.ask(`GET http://site.test:${port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1.1 502/)
    expect(answer).toContain('<code>egress_unreachable</code>')
  })

  test('a browser that leaves in the middle of a download takes the connection along', async () => {
    const gone = Promise.withResolvers<void>()
    const port = await website((_request, response) => {
      response.on('close', () => gone.resolve())
      response.writeHead(200).write(Buffer.alloc(1024 * 1024))
    })
    const stream = guest.open()
    stream.write(`GET http://site.test:${port}/ HTTP/1.1\r\nHost: site.test\r\n\r\n`)
    await once(stream, 'readable')
    stream.close()
    await gone.promise
  })

  test.each(['CONNECT', 'absolute form'])('a WebSocket by %s', async (way) => {
    const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await once(sockets, 'listening')
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${data}`)))
    const address = sockets.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const url = `ws://site.test:${port}/chat`
    const stream = way === 'CONNECT' ? await guest.tunnel(`site.test:${port}`) : guest.open()
    const finishRequest = (request: { path: string; end(): void }): void => {
      if (way !== 'CONNECT') request.path = url.replace('ws:', 'http:')
      request.end()
    }
    const socket = new WebSocket(url, { createConnection: () => stream as unknown as Socket, finishRequest })
    await once(socket, 'open')
    socket.send('hello')
    const [data] = await once(socket, 'message')
    expect(String(data)).toBe('echo hello')
    socket.close()
    await once(socket, 'close')
    sockets.close()
  })
})

describe('denials', () => {
  const loopback = [
    '127.0.0.1',
    '2130706433',
    '0x7f000001',
    '0x7f.1',
    '0177.0.0.1',
    '127.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
  ]
  test.each([
    ...loopback.map((host) => [host]),
    ['localhost'],
    ['169.254.169.254'],
    ['10.213.0.2'],
    ['172.16.0.1'],
    ['other.test'],
    ['site.test.other.test'],
  ])('%s, by both ways, even when a pattern of the policy names it', async (host) => {
    let reached = 0
    const port = await tcpServer((socket) => {
      reached++
      socket.destroy()
    })
    const allow = host.startsWith('[') || /[a-z]\./.test(host) ? ['site.test'] : ['site.test', host]
    guest.session.destroy()
    guest = await attach({ allow, ports: [port] })
    const plain = await guest.ask(`GET http://${host}:${port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    expect(plain).toMatch(/^HTTP\/1.1 403 Forbidden\r\n/)
    expect(plain).toContain('This page may not be opened here.')
    expect(plain).toContain('<code>egress_denied</code>')
    await expect(guest.tunnel(`${host}:${port}`)).rejects.toThrow(/^HTTP\/1.1 403/)
    expect(reached).toBe(0)
    const refused = { port, result: 'refused', reason: expect.stringMatching(/not in egress.allow|private or special/) }
    expect(await egress.hostsOf(session)).toMatchObject([{ ...refused, connections: 2, bytes_up: 0, bytes_down: 0 }])
    expect(logged).toMatchObject([{ port, result: 'refused' }])
  })

  test('a port that nothing of the provider names', async () => {
    await expect(guest.tunnel('a.open.test:22')).rejects.toThrow(/403/)
  })

  test('an allowed name that leads inward, however often its answer changes', async () => {
    let reached = 0
    const port = await tcpServer(() => void reached++)
    guest.session.destroy()
    guest = await attach({ ...policy, ports: [port] })
    for (const answer of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '10.0.0.1', '169.254.169.254', '64:ff9b::7f00:1']) {
      answers = [answer]
      await expect(guest.tunnel(`a.open.test:${port}`)).rejects.toThrow(/403/)
    }
    expect(reached).toBe(0)
  })

  test('a name is asked for once, and only its public addresses are left to connect to', async () => {
    const rounds = [['93.184.216.34', '127.0.0.1', '10.0.0.1', '::ffff:10.0.0.1', '2606:4700::1111'], ['127.0.0.1']]
    const resolve = async (): Promise<string[]> => rounds.shift() ?? []
    await expect(judgedAddresses('a.open.test', resolve)).resolves.toEqual(['93.184.216.34', '2606:4700::1111'])
    expect(rounds).toHaveLength(1)
    await expect(judgedAddresses('a.open.test', resolve)).rejects.toMatchObject({ code: 'egress_denied' })
  })

  test.each([
    'GET / HTTP/1.1\r\nHost: site.test\r\n\r\n',
    'GET https://site.test/ HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n',
    'GET ftp://site.test/ HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n',
    'GET http://site.test:80@127.0.0.1/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    'CONNECT site.test HTTP/1.1\r\nHost: x\r\n\r\n',
    'CONNECT 127.0.0.1:80@site.test:80 HTTP/1.1\r\nHost: x\r\n\r\n',
    'nonsense\r\n\r\n',
    `GET http://site.test/ HTTP/1.1\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`,
  ])('%s: 400 and nothing else', async (request) => {
    expect(await guest.ask(request)).toMatch(/^HTTP\/1.1 400 /)
    expect(egress.isAttached(machineId)).toBe(true)
  })

  test('what does not answer is told apart from what is not allowed, and names in pages are text', async () => {
    const port = await tcpServer(() => {})
    servers.pop()?.close()
    await expect(guest.tunnel(`site.test:${port}`)).rejects.toThrow(/^HTTP\/1.1 502/)
    const page = await guest.ask(`GET http://site.test:${port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    expect(page).toContain('<code>egress_unreachable</code>')
    const refused = await guest.ask("GET http://a'&b.test/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    expect(refused).toMatch(/^HTTP\/1.1 403(?!.*a'&b)/s)
  })

  test('another kind of stream is refused, the link goes on', async () => {
    const stream = guest.session.request({ ':path': '/' })
    const [headers] = await once(stream, 'response')
    expect(headers[':status']).toBe(400)
    stream.close()
    expect(egress.isAttached(machineId)).toBe(true)
  })

  test('a link that speaks no HTTP/2 is closed', async () => {
    const { ours, theirs } = await socketPair()
    egress.attach({ machine: machineId, session }, policy, ours)
    theirs.on('error', () => {}).resume()
    theirs.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(10))
    await vi.waitFor(() => expect(egress.isAttached(machineId)).toBe(false))
    theirs.destroy()
  })
})

async function readBody(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request) body += chunk
  return body
}
