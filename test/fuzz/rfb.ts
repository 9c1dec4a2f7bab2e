import { Scope, silentLog } from '@anteroom/base'
import { liveCloseCodes } from '@anteroom/contract'
import {
  serverInit,
  shakeHands,
  startGateway,
  startMachine,
  version,
} from '../../packages/controller/src/live/live.fixture.ts'
import { forbidden, messages } from '../security/harness/client-messages.ts'
import { reachedInput } from '../security/harness/rfb-ear.ts'
import type { Fuzzer } from './fuzz.ts'
import type { Mutator } from './mutator.ts'

const known: readonly number[] = [...Object.values(liveCloseCodes), 1000, 1002, 1005, 1006, 1009]
const greeting = Buffer.from(version)
const right = Buffer.concat([greeting, Buffer.of(1, 1)])

/** What viewers send: to a machine that listens. Of a viewer that looks on nothing may pass. */
export async function fuzzViewers(): Promise<Fuzzer> {
  const gateway = await startGateway(Scope.root('fuzz', silentLog))
  let heard: Buffer[] = []
  const machine = await startMachine(async (socket) => {
    const { read } = await shakeHands(socket)
    for (;;) heard.push(await read(1))
  })
  return {
    async round(mutator) {
      heard = []
      const access = mutator.pick(['view', 'view', 'control'] as const)
      const viewer = await gateway.view('ses_fuzz', access, machine.endpoint)
      const handshake = mutator.int(4) === 0 ? mutator.mutate(right) : right
      const stream = Array.from({ length: 1 + mutator.int(12) }, () => clientMessage(mutator))
      for (const piece of mutator.pieces(Buffer.concat([handshake, ...stream]))) viewer.socket.send(piece)
      viewer.socket.close()
      await viewer.served
      await machineLeft(machine.sockets)
      judgeEnd((await viewer.closed).code, viewer.received())
      const got = access === 'view' ? reachedInput(Buffer.concat(heard)) : undefined
      if (got !== undefined) throw new Error(`passed through: ${got}`)
    },
    async stop() {
      await gateway.close()
      await machine.close()
    },
  }
}

function clientMessage(mutator: Mutator): Buffer {
  const message = mutator.pick([...Object.values(messages), ...Object.values(forbidden)])
  return mutator.int(3) === 0 ? mutator.mutate(message) : Buffer.from(message)
}

/** What machines send, in the handshake and after it, to a viewer that says nothing. */
export async function fuzzMachines(): Promise<Fuzzer> {
  const gateway = await startGateway(Scope.root('fuzz', silentLog))
  let say: (socket: Parameters<Parameters<typeof startMachine>[0]>[0]) => Promise<void> = async () => {}
  const machine = await startMachine((socket) => say(socket))
  return {
    async round(mutator) {
      const isHandshake = mutator.int(2) === 0
      say = async (socket) => {
        socket.setNoDelay(true)
        if (isHandshake) {
          socket.resume()
          const whole = Buffer.concat([greeting, Buffer.of(1, 2), mutator.bytes(16), Buffer.alloc(4), serverInit])
          for (const piece of mutator.pieces(mutator.mutate(whole))) socket.write(piece)
        } else {
          await shakeHands(socket)
          for (const piece of mutator.pieces(mutator.bytes(mutator.int(2000)))) socket.write(piece)
        }
        socket.end()
      }
      const viewer = await gateway.view('ses_fuzz', 'control', machine.endpoint)
      for (const piece of mutator.pieces(right)) viewer.socket.send(piece)
      await viewer.served
      const { code } = await viewer.closed
      judgeEnd(code, viewer.received())
      if (isHandshake && code !== liveCloseCodes.machine_lost) throw new Error(`a lost machine is told as ${code}`)
    },
    async stop() {
      await gateway.close()
      await machine.close()
    },
  }
}

/** A viewer is greeted by the gateway and by nobody else, and told with a known code why it is over. */
function judgeEnd(code: number, received: Buffer): void {
  if (!known.includes(code)) throw new Error(`closed with ${code}`)
  const start = received.subarray(0, greeting.length)
  if (!greeting.subarray(0, start.length).equals(start)) throw new Error(`greeted with ${start.toString('hex')}`)
}

async function machineLeft(sockets: ReadonlySet<unknown>): Promise<void> {
  await Scope.root('fuzz', silentLog).run({ name: 'the machine to be left', deadlineMs: 10_000 }, (scope) =>
    scope.until(async () => sockets.size === 0 || undefined, 1),
  )
}
