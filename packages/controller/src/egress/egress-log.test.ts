import { createServer, type Server, type Socket } from 'node:net'
import { AppError, type Clock, type Log, Scope, silentLog, systemClock } from '@anteroom/base'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openStore, type Store } from '../store/store.ts'
import { Guest, listen, newSession, readAll, socketPair } from './egress.fixture.ts'
import { createEgress, type Egress } from './egress.ts'

const policy = { allow: ['site.test', 'gone.test'], hosts: { 'site.test': '127.0.0.1', 'gone.test': '127.0.0.1' } }
let store: Store
let session: string
let echo: Server
let port: number
let logged: object[]
let guests: Guest[]
let nowMs: number
const clock: Clock = { ...systemClock, now: () => nowMs }

beforeEach(async () => {
  store = await openStore(':memory:')
  session = await newSession(store)
  echo = createServer((socket: Socket) => socket.on('error', () => {}).pipe(socket))
  port = await listen(echo)
  logged = []
  guests = []
  nowMs = Date.parse('2026-03-04T05:06:07Z')
})
afterEach(async () => {
  for (const guest of guests) guest.session.destroy()
  echo.close()
  await store.close()
})

/** What one process of the controller has. */
function newEgress(over: Store = store): Egress {
  const log: Log = { ...silentLog, info: (fields) => void logged.push(fields), child: () => log }
  return createEgress({ log, clock, store: over })
}

async function attach(egress: Egress, machine = 'vm_one', of = session): Promise<Guest> {
  const { ours, theirs } = await socketPair()
  egress.attach({ machine, session: of }, policy, ours)
  const guest = new Guest(theirs)
  guests.push(guest)
  return guest
}

async function sendAndReceive(guest: Guest, bytes: number): Promise<void> {
  const stream = await guest.tunnel(`site.test:${port}`)
  stream.end(Buffer.alloc(bytes))
  expect(await readAll(stream)).toHaveLength(bytes)
}

test('says of each host what came of it, why, how often, how much, and when', async () => {
  const egress = newEgress()
  const guest = await attach(egress)
  await sendAndReceive(guest, 1000)
  nowMs += 60_000
  await sendAndReceive(guest, 500)
  for (const name of ['gone.test:1', 'other.test:443', 'site.test:0x16', 'other.test:443'])
    await expect(guest.tunnel(name)).rejects.toThrow(/HTTP/)
  const [first, later] = ['2026-03-04T05:06:07.000Z', '2026-03-04T05:07:07.000Z']
  const none = { bytes_up: 0, bytes_down: 0, first_at: later, last_at: later }
  expect(await egress.hostsOf(session)).toEqual([
    {
      ...{ host: 'site.test', port, result: 'connected', reason: null, connections: 2 },
      ...{ bytes_up: 1500, bytes_down: 1500, first_at: first, last_at: later },
    },
    {
      ...{ host: 'gone.test', port: 1, result: 'unreachable', connections: 1, ...none },
      reason: 'gone.test:1: ECONNREFUSED',
    },
    {
      ...{ host: 'other.test', port: 443, result: 'refused', connections: 2, ...none },
      reason: 'other.test is not in egress.allow',
    },
  ])
})

test('is counted on by the next controller, and while a connection is open', async () => {
  const first = newEgress()
  const guest = await attach(first)
  const stream = await guest.tunnel(`site.test:${port}`)
  stream.write(Buffer.alloc(300))
  await vi.waitFor(async () => expect(await first.hostsOf(session)).toMatchObject([{ bytes_up: 300, bytes_down: 300 }]))
  expect(await first.hostsOf(session)).toMatchObject([{ connections: 1, bytes_up: 300 }])
  stream.write(Buffer.alloc(50))
  await vi.waitFor(async () => expect(await first.hostsOf(session)).toMatchObject([{ bytes_down: 350 }]))
  await first.close()
  const second = newEgress()
  expect(await second.hostsOf(session)).toMatchObject([{ connections: 1, bytes_up: 350, bytes_down: 350 }])
  await sendAndReceive(await attach(second), 100)
  expect(await second.hostsOf(session)).toMatchObject([{ connections: 2, bytes_up: 450, bytes_down: 450 }])
})

test('of the machine that is gone stays, and is its session’s alone', async () => {
  const egress = newEgress()
  const other = await newSession(store)
  await sendAndReceive(await attach(egress), 10)
  await sendAndReceive(await attach(egress, 'vm_two', other), 20)
  egress.detach('vm_one')
  egress.detach('vm_two')
  await vi.waitFor(async () => expect(await egress.hostsOf(session)).toMatchObject([{ bytes_up: 10 }]))
  expect(await egress.hostsOf(other)).toMatchObject([{ bytes_up: 20 }])
})

test('is written down by itself, and later where the database does not take it now', async () => {
  const pauses: (() => void)[] = []
  let isFull = true
  const full: Store = {
    ...store,
    transaction: (work) => (isFull ? Promise.reject(new AppError('disk_full')) : store.transaction(work)),
  }
  const log: Log = { ...silentLog, child: () => log }
  const paused: Clock = { ...clock, delay: () => new Promise((resolve) => pauses.push(resolve)) }
  const egress = createEgress({ log, clock: paused, store: full })
  const scope = Scope.root('test')
  const running = egress.run(scope)
  const written = () => store.db.selectFrom('egress_hosts').select(['host', 'connections']).execute()
  const guest = await attach(egress)
  await expect(guest.tunnel('other.test:443')).rejects.toThrow(/403/)
  pauses.shift()?.()
  await vi.waitFor(() => expect(pauses).toHaveLength(1))
  expect(await written()).toEqual([])
  await expect(egress.hostsOf(session)).rejects.toMatchObject({ code: 'disk_full' })
  isFull = false
  pauses.shift()?.()
  await vi.waitFor(async () => expect(await written()).toEqual([{ host: 'other.test', connections: 1 }]))
  scope.cancel()
  await vi.waitFor(() => expect(pauses).toHaveLength(1))
  pauses.shift()?.()
  await running
})

test('a flood of names fills neither memory nor database nor log', async () => {
  const egress = newEgress()
  const guest = await attach(egress)
  for (let n = 0; n < 25; n++)
    await Promise.all(Array.from({ length: 10 }, (_, m) => guest.tunnel(`h${n * 10 + m}.test:443`).catch(() => {})))
  const hosts = await egress.hostsOf(session)
  expect(hosts).toHaveLength(201)
  expect(hosts.find(({ host }) => host === null)).toMatchObject({ port: null, result: 'refused', connections: 50 })
  expect(logged).toHaveLength(201)
  await expect(guest.tunnel(`${'a.'.repeat(150)}test:443`)).rejects.toThrow(/400/)
})
