/** Both ends of the RFB 3.8 handshake (RFC 6143 section 7.1), up to and without ClientInit. */
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Scope } from '@anteroom/base'
import type { RfbEndpoint } from './live.ts'
import { readExactly } from './read-exactly.ts'
import { RfbViolation } from './rfb-violation.ts'
import { vncAuthResponse } from './vnc-auth.ts'

const version = 'RFB 003.008\n'
const securityNone = 1
const securityVncAuth = 2
const connectDeadlineMs = 10_000
/** People's networks, not ours. */
const viewerDeadlineMs = 15_000
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

async function authenticate(socket: Socket, password: string, scope: Scope): Promise<void> {
  const theirs = (await readExactly(socket, 12, scope)).toString('latin1')
  if (theirs !== version) throw new RfbViolation(`the machine speaks ${JSON.stringify(theirs)}`)
  socket.write(version)
  const count = (await readExactly(socket, 1, scope)).readUInt8(0)
  if (count === 0) throw new RfbViolation(`the machine refuses: ${await readReason(socket, scope)}`)
  const types = await readExactly(socket, count, scope)
  if (!types.includes(securityVncAuth)) throw new RfbViolation('the machine does not offer VncAuth')
  socket.write(Buffer.of(securityVncAuth))
  socket.write(vncAuthResponse(await readExactly(socket, 16, scope), password))
  const result = (await readExactly(socket, 4, scope)).readUInt32BE(0)
  if (result !== 0) throw new RfbViolation(`the machine refuses: ${await readReason(socket, scope)}`)
}

async function readReason(socket: Socket, scope: Scope): Promise<string> {
  const length = (await readExactly(socket, 4, scope)).readUInt32BE(0)
  return (await readExactly(socket, Math.min(length, 500), scope)).toString('utf8')
}

/**
 * Greets a viewer and reads its ClientInit. No authentication: redeeming the ticket was it.
 * @throws RfbViolation, StreamEnded, AppError deadline_exceeded
 */
export async function greetViewer(viewer: Duplex, scope: Scope): Promise<void> {
  await scope.run({ name: 'RFB handshake with the viewer', deadlineMs: viewerDeadlineMs }, async (inner) => {
    viewer.write(version)
    const theirs = (await readExactly(viewer, 12, inner)).toString('latin1')
    if (theirs !== version) throw new RfbViolation(`the viewer speaks ${JSON.stringify(theirs)}`)
    viewer.write(Buffer.of(1, securityNone))
    const chosen = (await readExactly(viewer, 1, inner)).readUInt8(0)
    if (chosen !== securityNone) throw new RfbViolation(`the viewer chose security type ${chosen}`)
    viewer.write(Buffer.alloc(4))
    // The shared flag; what the machine gets is always "shared".
    await readExactly(viewer, 1, inner)
  })
}

/** ClientInit with the shared flag: without it the server would close the other viewers of the session. */
export const sharedClientInit = Buffer.of(1)
