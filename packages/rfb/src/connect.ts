import type { Scope } from '@anteroom/base'
import { authenticate } from './handshake.ts'
import { MachineStream } from './machine-stream.ts'
import { openScreen, type PixelBytes, type Screen } from './screen.ts'

/** Where an RFB server listens, and its VncAuth password. */
export interface RfbEndpoint {
  readonly ip: string
  readonly port: number
  readonly password: string
}

const connectDeadlineMs = 10_000
/**
 * A connection to a machine's RFB server, authenticated; the next message is ClientInit.
 * @throws RfbViolation, StreamEnded, system errors of connecting, AppError deadline_exceeded
 */
export async function connectToMachine(endpoint: RfbEndpoint, scope: Scope): Promise<MachineStream> {
  return await scope.run({ name: 'RFB handshake with the machine', deadlineMs: connectDeadlineMs }, async (inner) => {
    const machine = new MachineStream(endpoint.ip, endpoint.port)
    inner.undo(() => void machine.destroy())
    await inner.race(connected(machine))
    await authenticate(machine, endpoint.password, inner)
    return machine
  })
}

const connected = (machine: MachineStream): Promise<void> =>
  new Promise((resolve, reject) => {
    machine.once('connect', resolve)
    machine.once('error', reject)
  })

/** The screen of a machine; closed when the scope is over, at the latest. @throws like connectToMachine */
export async function openMachine(endpoint: RfbEndpoint, scope: Scope, pixelBytes?: PixelBytes): Promise<Screen> {
  const machine = await connectToMachine(endpoint, scope)
  scope.defer(() => void machine.destroy())
  return await openScreen(machine, scope, pixelBytes)
}
