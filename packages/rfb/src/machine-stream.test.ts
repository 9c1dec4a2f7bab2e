import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MachineStream } from './machine-stream.ts'

let server: Server
let machine: Socket
let stream: MachineStream

beforeEach(async () => {
  server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  stream = new MachineStream('127.0.0.1', (server.address() as AddressInfo).port)
  ;[machine] = await once(server, 'connection')
  machine.on('error', () => {})
})
afterEach(async () => {
  stream.destroy()
  machine.destroy()
  await once(server.close(), 'close')
})

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('forwards in order, one chunk at a time, through the same memory', async () => {
  const sent = Buffer.alloc(5_000_000, 'a screen is worth a thousand words; ')
  const received: Buffer[] = []
  const memories = new Set<unknown>()
  let held = 0
  machine.end(sent)
  await stream.forward((chunk, done) => {
    expect(++held).toBe(1)
    memories.add(chunk.buffer)
    setImmediate(() => {
      received.push(Buffer.from(chunk))
      held--
      done()
    })
  })
  expect(Buffer.concat(received).equals(sent)).toBe(true)
  expect(memories.size).toBe(1)
})

test('what came before forwarding comes first, also when it was looked at', async () => {
  machine.write('one ')
  await once(stream, 'readable')
  stream.unshift(stream.read())
  machine.write('two ')
  while (stream.readableLength < 8) await turn()
  let received = ''
  const forwarded = stream.forward((chunk, done) => {
    if (received === '') machine.end('three')
    received += chunk
    setImmediate(done)
  })
  await forwarded
  expect(received).toBe('one two three')
})

test('the end of a machine ends forwarding, also when it came before', async () => {
  const forwarded = stream.forward(() => {})
  machine.end()
  await forwarded
  await stream.forward(() => {})
})

test('a machine that breaks off ends forwarding', async () => {
  const forwarded = stream.forward(() => {})
  machine.resetAndDestroy()
  await forwarded
})

test('is a stream as any other', async () => {
  machine.pipe(machine)
  const sent = Buffer.alloc(1_000_000, 'there and back ')
  stream.end(sent)
  expect(Buffer.concat(await stream.toArray()).equals(sent)).toBe(true)
})
