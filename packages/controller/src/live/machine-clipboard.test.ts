import { Scope, silentLog } from '@anteroom/base'
import { liveCloseCodes } from '@anteroom/contract'
import { describe, expect, test, vi } from 'vitest'
import { shakeHands, startGateway, startMachine } from './live.fixture.ts'
import type { LiveAccess, LivePolicy } from './live.ts'

const sessionId = `ses_${'a'.repeat(24)}`
const request = Buffer.from([3, 1, 0, 0, 0, 0, 0, 4, 0, 2])
const scope = Scope.root('test', silentLog)

describe('what was copied in the machine', () => {
  const clipboard = Buffer.from([3, 0, 0, 0, 0, 0, 0, 2, 104, 105])
  const bell = Buffer.from([2])
  /** What each viewer hears of a machine that says this once the viewer is in. */
  async function heardBy(access: LiveAccess, said: Buffer, policy: Partial<LivePolicy> = {}): Promise<Buffer> {
    const own = await startGateway(scope, policy)
    const machine = await startMachine(async (socket) => {
      const { read } = await shakeHands(socket)
      await read(request.length)
      socket.end(said)
    })
    const viewer = await own.view(sessionId, access, machine.endpoint)
    const start = (await viewer.enter()).length
    viewer.socket.send(request)
    await viewer.closed
    await own.close()
    await machine.close()
    return viewer.received().subarray(start)
  }
  const said = Buffer.concat([clipboard, bell, clipboard])

  test('is for whoever has control, and not for those who look on', async () => {
    expect(await heardBy('control', said)).toEqual(said)
    expect(await heardBy('view', said)).toEqual(bell)
  })

  test('stays with control when that is handed over in open views', async () => {
    const gateway = await startGateway(scope)
    const machine = await startMachine(async (socket) => {
      const { read } = await shakeHands(socket)
      for (;;) {
        await read(request.length)
        socket.write(said)
      }
    })
    const owner = await gateway.view(sessionId, 'control', machine.endpoint, { principal: `visitor ${sessionId}` })
    const operator = await gateway.view(sessionId, 'view', machine.endpoint, { principal: 'operator' })
    const entered = [await owner.enter(), await operator.enter()].map(({ length }) => length)
    const heard = async (viewer: typeof owner, start = 0, expected: Buffer): Promise<void> => {
      viewer.socket.send(request)
      const all = await viewer.has(start + expected.length)
      // A longer answer would be in the same frame.
      expect(all.subarray(start)).toEqual(expected)
    }
    await heard(owner, entered[0], said)
    await heard(operator, entered[1], bell)
    await gateway.live.answerControl(sessionId, operator.viewerId, true, owner.holder)
    await heard(owner, (entered[0] ?? 0) + said.length, bell)
    await heard(operator, (entered[1] ?? 0) + bell.length, said)
    await gateway.close()
    await machine.close()
  })

  test('is for nobody where the policy says so', async () => {
    expect(await heardBy('control', said, { clipboard_from_machine: 'off' })).toEqual(bell)
    expect(await heardBy('control', said, { clipboard_to_machine: 'off', resize: 'off' })).toEqual(said)
  })

  test.each(['control', 'view'] as const)(
    'a view with %s ends where the machine cannot be understood',
    async (access) => {
      const machine = await startMachine(async (socket) => {
        await shakeHands(socket)
        socket.write(Buffer.from([77]))
      })
      const gateway = await startGateway(scope)
      const viewer = await gateway.view(sessionId, access, machine.endpoint)
      await viewer.enter()
      expect((await viewer.closed).code).toBe(liveCloseCodes.machine_lost)
      await viewer.served
      await vi.waitFor(() => expect(machine.sockets.size).toBe(0))
      await gateway.close()
      await machine.close()
    },
  )
})
