import { Scope, silentLog } from '@anteroom/base'
import { liveCloseCodes } from '@anteroom/contract'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ManualClock, shakeHands, startGateway, startMachine, type TestMachine } from './live.fixture.ts'
import type { LiveAccess } from './live.ts'

const sessionId = `ses_${'a'.repeat(24)}`
const key = Buffer.from([4, 1, 0, 0, 0, 0, 0, 97])
const request = Buffer.from([3, 1, 0, 0, 0, 0, 0, 4, 0, 2])

let clock: ManualClock
let gateway: Awaited<ReturnType<typeof startGateway>>
let machine: TestMachine
/** What reached the machine after the handshake. */
let received: Buffer
beforeEach(async () => {
  clock = new ManualClock()
  gateway = await startGateway(Scope.root('test', silentLog, clock))
  received = Buffer.alloc(0)
  machine = await startMachine(async (socket) => {
    const { read } = await shakeHands(socket)
    for (;;) received = Buffer.concat([received, await read(1)])
  })
})
afterEach(async () => {
  await gateway.close()
  await machine.close()
})

const presence = () => gateway.live.presenceOf(sessionId)

async function open(access: LiveAccess) {
  const viewer = await gateway.view(sessionId, access, machine.endpoint)
  await viewer.enter()
  /** Resolves when the gateway has passed on the request that goes last. */
  const send = async (...messages: Buffer[]): Promise<void> => {
    const before = received.length
    viewer.socket.send(Buffer.concat([...messages, request]))
    await vi.waitFor(() => expect(received.subarray(before).subarray(-request.length)).toEqual(request))
  }
  return { ...viewer, send }
}

test('to open the view with control is the first sign of somebody; asking for pictures is none', async () => {
  expect(presence()).toBeUndefined()
  const viewer = await open('control')
  const opened = { openedAt: clock.now(), inputAt: undefined }
  expect(presence()).toEqual(opened)
  for (let minute = 0; minute < 5; minute++) {
    await viewer.send(request, request)
    await clock.pass(10)
  }
  expect(presence()).toEqual(opened)
})

test('keys count each time, and are known when the view has gone', async () => {
  const viewer = await open('control')
  const openedAt = clock.now()
  for (const seconds of [3, 10]) {
    await clock.pass(seconds)
    await viewer.send(key)
    expect(presence()).toEqual({ openedAt, inputAt: clock.now() })
  }
  const typed = clock.now()
  viewer.socket.close()
  await viewer.served
  await clock.pass(5)
  expect(presence()).toEqual({ openedAt, inputAt: typed })
})

test('who only looks on is nobody, whatever they press', async () => {
  const viewer = await open('view')
  await viewer.send(key, key)
  expect(presence()).toBeUndefined()
})

test('a view that is opened again is no sign of life by itself', async () => {
  const viewer = await open('control')
  const openedAt = clock.now()
  viewer.socket.close()
  await viewer.served
  await clock.pass(10)
  const again = await open('control')
  expect(presence()).toEqual({ openedAt, inputAt: undefined })
  await again.send(key)
  expect(presence()).toEqual({ openedAt, inputAt: clock.now() })
})

test('who opens it with control takes it from whoever had it, and they are told; lookers-on stay', async () => {
  const first = await open('control')
  await open('view')
  const second = await open('control')
  expect((await first.closed).code).toBe(liveCloseCodes.replaced)
  const elsewhere = await gateway.view(`ses_${'b'.repeat(24)}`, 'control', machine.endpoint)
  await elsewhere.enter()
  await second.send(key)
  expect(gateway.live.viewers(sessionId)).toBe(2)
})

test('nothing is remembered of a session that is over; revoked tickets end none', async () => {
  const viewer = await open('control')
  await gateway.live.close(sessionId, 'ticket_revoked')
  await viewer.served
  expect(presence()).toBeDefined()
  const other = await open('control')
  await gateway.live.close(sessionId, 'session_ended')
  await other.served
  expect(presence()).toBeUndefined()
})
