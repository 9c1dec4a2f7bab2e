import { Scope, silentLog } from '@anteroom/base'
import { liveCloseCodes } from '@anteroom/contract'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createEvents } from '../events/events.ts'
import { ManualClock, shakeHands, startGateway, startMachine, type TestMachine } from './live.fixture.ts'
import type { LiveAccess } from './live.ts'

const sessionId = `ses_${'a'.repeat(24)}`
const owner = `visitor ${sessionId}`
const key = Buffer.from([4, 1, 0, 0, 0, 0, 0, 97])
const keyUp = Buffer.from([4, 0, 0, 0, 0, 0, 0, 97])
const request = Buffer.from([3, 1, 0, 0, 0, 0, 0, 4, 0, 2])

let clock: ManualClock
let gateway: Awaited<ReturnType<typeof startGateway>>
let machine: TestMachine
/** What reached the machine after the handshake, by connection. */
let received: Buffer[]
beforeEach(async () => {
  clock = new ManualClock()
  gateway = await startGateway(Scope.root('test', silentLog, clock))
  received = []
  machine = await startMachine(async (socket) => {
    const { read } = await shakeHands(socket)
    const at = received.push(Buffer.alloc(0)) - 1
    for (;;) received[at] = Buffer.concat([received[at] ?? Buffer.alloc(0), await read(1)])
  })
})
afterEach(async () => {
  await gateway.close()
  await machine.close()
})

async function open(access: LiveAccess, principal: string) {
  const at = received.length
  const viewer = await gateway.view(sessionId, access, machine.endpoint, { principal })
  await viewer.enter()
  /** What of it arrives, when all before the request has been judged. */
  const send = async (...messages: Buffer[]): Promise<Buffer> => {
    const before = received[at]?.length ?? 0
    viewer.socket.send(Buffer.concat([...messages, request]))
    const sent = () => (received[at] ?? Buffer.alloc(0)).subarray(before)
    await vi.waitFor(() => expect(sent().subarray(-request.length)).toEqual(request))
    return sent().subarray(0, -request.length)
  }
  return { ...viewer, send, got: () => received[at] ?? Buffer.alloc(0) }
}

const audience = async (of: { holder: Parameters<typeof gateway.live.audience>[1] }) =>
  (await gateway.live.audience(sessionId, of.holder)).viewers
const events = async () =>
  (await createEvents({ store: gateway.store, clock }).all(sessionId)).map(({ type, data }) => [type, data])

test('one has control, others look on; each sees who is there', async () => {
  const person = await open('control', owner)
  const operator = await open('view', 'operator')
  await open('view', 'key_a')
  expect(await audience(operator)).toMatchObject([
    { id: person.viewerId, access: 'control', by: 'account_owner', is_you: false, asks_for_control: false },
    { id: operator.viewerId, access: 'view', by: 'operator', is_you: true },
    { access: 'view', by: 'key', is_you: false },
  ])
  expect(await operator.send(key)).toEqual(Buffer.alloc(0))
  expect(await person.send(key)).toEqual(key)
})

test('control goes to whoever asked when its owner gives it, in the open views, and back again', async () => {
  const person = await open('control', owner)
  const operator = await open('view', 'operator')
  await gateway.live.askForControl(sessionId, operator.viewerId, operator.holder)
  expect((await audience(person))[1]).toMatchObject({ asks_for_control: true })
  await gateway.live.answerControl(sessionId, operator.viewerId, false, person.holder)
  expect((await audience(person))[1]).toMatchObject({ access: 'view', asks_for_control: false })
  expect(await operator.send(key)).toEqual(Buffer.alloc(0))

  await gateway.live.answerControl(sessionId, operator.viewerId, true, person.holder)
  expect(await operator.send(key)).toEqual(key)
  expect(await person.send(key)).toEqual(Buffer.alloc(0))
  await gateway.live.answerControl(sessionId, person.viewerId, true, person.holder)
  // The key that was down when control went.
  await vi.waitFor(() => expect(operator.got().subarray(-keyUp.length)).toEqual(keyUp))
  expect(await operator.send(key)).toEqual(Buffer.alloc(0))
  expect(await person.send(key)).toEqual(key)
})

test('nobody takes control, gives away what is not theirs, or asks in the name of another view', async () => {
  const person = await open('control', owner)
  const operator = await open('view', 'operator')
  await gateway.store.db
    .insertInto('tickets')
    .values({
      ...{ hash: 'h', session_id: sessionId, access: 'control', principal: owner, cookie_hash: 'c', origin: null },
      ...{ key_id: null, key_hash: null, expires_at: clock.now(), used_at: clock.now(), revoked_at: null },
    })
    .execute()
  const { live } = gateway
  await expect(live.answerControl(sessionId, operator.viewerId, true, operator.holder)).rejects.toMatchObject({
    code: 'forbidden',
  })
  await expect(live.askForControl(sessionId, person.viewerId, operator.holder)).rejects.toThrow('not a view of yours')
  await expect(live.askForControl(sessionId, 'vwr_gone', operator.holder)).rejects.toMatchObject({
    code: 'viewer_gone',
  })
  const order = { access: 'control', ttlSeconds: 30, holder: operator.holder } as const
  await expect(live.issueTicket(sessionId, order)).rejects.toMatchObject({ code: 'control_needs_consent' })
  expect(await operator.send(key)).toEqual(Buffer.alloc(0))
})

test('the owner who comes back has control again; whoever was handed it looks on', async () => {
  const person = await open('control', owner)
  const operator = await open('view', 'operator')
  await gateway.live.answerControl(sessionId, operator.viewerId, true, person.holder)
  person.socket.close()
  await person.served
  const again = await open('control', owner)
  expect(await operator.send(key)).toEqual(Buffer.alloc(0))
  expect(await again.send(key)).toEqual(key)
})

test('no more look on than there is room for; one who leaves makes room, and control is not counted', async () => {
  const lookers = []
  for (let n = 0; n < 8; n++) lookers.push(await open('view', `key_${n}`))
  const order = { access: 'view', ttlSeconds: 30, holder: { principal: 'key_x', cookie: null, key: null } } as const
  await expect(gateway.live.issueTicket(sessionId, order)).rejects.toMatchObject({ code: 'viewers_full' })
  const late = await gateway.view(sessionId, 'view', machine.endpoint)
  expect((await late.closed).code).toBe(liveCloseCodes.viewers_full)
  await open('control', owner)
  lookers[0]?.socket.close()
  await lookers[0]?.served
  await expect(gateway.live.issueTicket(sessionId, order)).resolves.toMatchObject({ access: 'view' })
})

test('that others come, ask and leave are events; that the owner comes is none', async () => {
  const person = await open('control', owner)
  expect(await events()).toEqual([])
  const operator = await open('view', 'operator')
  await gateway.live.askForControl(sessionId, operator.viewerId, operator.holder)
  await gateway.live.answerControl(sessionId, operator.viewerId, false, person.holder)
  operator.socket.close()
  await operator.served
  const company = [
    [1, 0],
    [1, 1],
    [1, 0],
    [0, 0],
  ].map(([watching, asking]) => ['viewer', { watching, asking }])
  await vi.waitFor(async () => expect(await events()).toEqual(company))
})
