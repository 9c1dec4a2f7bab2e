import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MachineStream } from './machine-stream.ts'

let server: Server
let machine: Socket
let stream: MachineStream
const opened: { destroy(): void }[] = []

/** A connection and the machine at its other end. */
async function open(): Promise<[MachineStream, Socket]> {
  const stream = new MachineStream('127.0.0.1', (server.address() as AddressInfo).port)
  const [machine]: Socket[] = await once(server, 'connection')
  if (!machine) throw new Error('no connection')
  opened.push(
    stream,
    machine.on('error', () => {}),
  )
  return [stream, machine]
}

beforeEach(async () => {
  server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  ;[stream, machine] = await open()
})
afterEach(async () => {
  for (const end of opened.splice(0)) end.destroy()
  await once(server.close(), 'close')
})

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('forwards in order, one chunk at a time, through the same memory', async () => {
  const sent = Buffer.alloc(5_000_000, 'a screen is worth a thousand words; ')
  const received: Buffer[] = []
  const memories: unknown[] = []
  let held = 0
  machine.end(sent)
  await stream.forward((chunk, done) => {
    expect(++held).toBe(1)
    memories.push(chunk.buffer)
    setImmediate(() => {
      received.push(Buffer.from(chunk))
      held--
      done()
    })
  })
  expect(Buffer.concat(received).equals(sent)).toBe(true)
  // The first read may have been on its way before.
  expect(memories.length).toBeGreaterThan(5)
  expect(new Set(memories.slice(1)).size).toBe(1)
})

test('the memory of a connection that is over serves the next one, but not while somebody has it', async () => {
  /** Memory that is forwarded through, and how it is given back. */
  const memoryOf = async ([stream, machine]: [MachineStream, Socket]) => {
    const held = Promise.withResolvers<{ memory: unknown; done: () => void }>()
    let chunks = 0
    void stream.forward((chunk, done) => {
      if (++chunks === 1) machine.write('second')
      if (chunks === 1) done()
      else held.resolve({ memory: chunk.buffer, done })
    })
    machine.write('first')
    return await held.promise
  }
  const first = await memoryOf([stream, machine])
  stream.destroy()
  const second = await memoryOf(await open())
  expect(second.memory).not.toBe(first.memory)
  first.done()
  const third = await memoryOf(await open())
  expect(third.memory).toBe(first.memory)
})

test('a busy machine leaves the others their turn', async () => {
  machine.end(Buffer.alloc(8_000_000))
  let [chunks, most] = [0, 0]
  let isOver = false
  const nextTurn = (): void => {
    most = Math.max(most, chunks)
    chunks = 0
    if (!isOver) setImmediate(nextTurn)
  }
  nextTurn()
  await stream.forward((_chunk, done) => {
    chunks++
    done()
  })
  isOver = true
  expect(most).toBeGreaterThan(1)
  expect(most).toBeLessThan(8)
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
