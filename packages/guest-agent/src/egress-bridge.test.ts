import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { performServerHandshake, type ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { Scope } from '@anteroom/base'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { EgressBridge } from './egress-bridge.ts'

let bridge: EgressBridge
let port: number
let controller: Server
const open: Socket[] = []

beforeEach(async () => {
  bridge = new EgressBridge(Scope.root('test'))
  port = await bridge.listen(0)
  controller = createServer()
  await new Promise<void>((resolve) => controller.listen(0, '127.0.0.1', resolve))
})

afterEach(async () => {
  bridge.close()
  for (const socket of open.splice(0)) socket.destroy()
  await new Promise((resolve) => controller.close(resolve))
})

/** A link over a real connection; `serve` is what the controller does with each stream. */
async function attach(serve: (stream: ServerHttp2Stream) => void): Promise<Socket> {
  const guest = connect((controller.address() as AddressInfo).port, '127.0.0.1')
  const [host] = (await once(controller, 'connection')) as [Socket]
  open.push(guest, host)
  host.on('error', () => {})
  const session = performServerHandshake(host)
  session.on('error', () => {})
  session.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    expect(headers).toMatchObject({ ':method': 'CONNECT', ':authority': 'egress' })
    serve(stream)
  })
  bridge.attach(guest)
  return host
}

const echo = (stream: ServerHttp2Stream): void => {
  stream.respond({ ':status': 200 })
  stream.pipe(stream)
}

const dial = (): Socket => {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  open.push(socket)
  return socket
}

async function digestOf(socket: Socket): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of socket) hash.update(chunk)
  return hash.digest('hex')
}

test('carries megabytes both ways, unchanged, over many connections at once, and passes the end on', async () => {
  await attach(echo)
  const sent = Array.from({ length: 8 }, () => randomBytes(3_000_000))
  const received = await Promise.all(
    sent.map((bytes) => {
      const socket = dial()
      socket.end(bytes)
      return digestOf(socket)
    }),
  )
  expect(received).toEqual(sent.map((bytes) => createHash('sha256').update(bytes).digest('hex')))
})

test('an end in one direction leaves the other open', async () => {
  await attach((stream) => {
    stream.respond({ ':status': 200 })
    stream.resume().on('end', () => stream.end('after your end'))
  })
  const socket = dial()
  socket.end('done')
  const [answer] = await once(socket.setEncoding('utf8'), 'data')
  expect(answer).toBe('after your end')
})

test('a slow reader holds the sender back', async () => {
  let taken = 0
  await attach((stream) => {
    stream.respond({ ':status': 200 })
    stream.once('readable', () => {
      taken += 1 // Reads nothing: its window fills and stays full.
    })
  })
  const socket = dial()
  const chunk = Buffer.alloc(1024 * 1024)
  // Far over all windows and socket buffers together.
  for (let sent = 0; sent < 64; sent += 1) socket.write(chunk)
  await once(socket, 'connect')
  await Scope.root('test').run({ name: 'stalled', deadlineMs: 5000 }, async (scope) => {
    let before = -1
    await scope.until(() => {
      const now = socket.bytesWritten - socket.writableLength
      const stalled = taken > 0 && now === before
      before = now
      return stalled ? true : undefined
    }, 50)
  })
  expect(socket.writableLength).toBeGreaterThan(32 * 1024 * 1024)
})

test('a connection before the link waits for it', async () => {
  const socket = dial()
  socket.end('early')
  await once(socket, 'connect')
  const answer = digestOf(socket)
  await attach(echo)
  expect(await answer).toBe(createHash('sha256').update('early').digest('hex'))
})

test('a new link replaces the old one', async () => {
  const old = await attach(echo)
  const gone = once(old, 'close')
  await attach((stream) => {
    stream.respond({ ':status': 200 })
    stream.end('new')
  })
  await gone
  const [answer] = await once(dial().setEncoding('utf8'), 'data')
  expect(answer).toBe('new')
})

test('a refusal and a lost link close the connection', async () => {
  const host = await attach((stream) => stream.respond({ ':status': 503 }, { endStream: true }))
  const refused = dial()
  refused.resume()
  await once(refused, 'end')
  host.destroy()

  const second = await attach((stream) => {
    stream.respond({ ':status': 200 })
    stream.write('here')
  })
  const cut = dial()
  await once(cut, 'data')
  const ended = once(cut, 'end')
  second.destroy()
  await ended
})

test('what fails on a link that was lost meanwhile is done again over the next one; what fails by itself has failed', async () => {
  const scope = Scope.root('test')
  const host = await attach(echo)
  let times = 0
  const done = bridge.throughCuts(async () => {
    times += 1
    const socket = dial()
    socket.write('hello')
    const [answer] = await once(socket.setEncoding('utf8'), 'data')
    if (times > 1) return answer
    const cut = once(socket, 'end')
    host.destroy()
    await cut
    throw new Error('cut')
  }, scope)
  await once(host, 'close')
  await attach(echo)
  expect(await done).toBe('hello')
  expect(times).toBe(2)

  const failing = bridge.throughCuts(() => Promise.reject(new Error('no such host')), scope)
  await expect(failing).rejects.toThrow('no such host')
})
