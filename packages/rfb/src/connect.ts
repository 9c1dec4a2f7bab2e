import { connect, type Socket } from 'node:net'
import type { Scope } from '@anteroom/base'
import { authenticate } from './handshake.ts'
import { openScreen, type PixelBytes, type Screen } from './screen.ts'

/** Where an RFB server listens, and its VncAuth password. */
export interface RfbEndpoint {
  readonly ip: string
  readonly port: number
  readonly password: string
}

const connectDeadlineMs = 10_000
/** A machine that vanished without a word is noticed by TCP after this and about nine probes. */
const keepAliveMs = 15_000

/**
 * A connection to a machine's RFB server, authenticated; the next message is ClientInit.
 * @throws RfbViolation, StreamEnded, system errors of connecting, AppError deadline_exceeded
 */
export async function connectToMachine(endpoint: RfbEndpoint, scope: Scope): Promise<Socket> {
  return await scope.run({ name: 'RFB handshake with the machine', deadlineMs: connectDeadlineMs }, async (inner) => {
    const { ip: host, port } = endpoint
    const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs })
    inner.undo(() => void socket.destroy())
    // Whoever uses the socket learns of the error from the stream; without a listener it would end the process.
    socket.on('error', () => {})
    await inner.race(connected(socket))
    await authenticate(socket, endpoint.password, inner)
    return socket
  })
}

const connected = (socket: Socket): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })

/** The screen of a machine; closed when the scope is over, at the latest. @throws like connectToMachine */
export async function openMachine(endpoint: RfbEndpoint, scope: Scope, pixelBytes?: PixelBytes): Promise<Screen> {
  const socket = await connectToMachine(endpoint, scope)
  scope.defer(() => void socket.destroy())
  return await openScreen(socket, scope, pixelBytes)
}
