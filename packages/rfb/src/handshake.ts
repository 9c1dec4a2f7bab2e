/** Both ends of the RFB 3.8 handshake (RFC 6143 section 7.1), up to and without ClientInit. */
import type { Duplex } from 'node:stream'
import type { Scope } from '@anteroom/base'
import { readExactly } from './read-exactly.ts'
import { RfbViolation } from './rfb-violation.ts'
import { vncAuthResponse } from './vnc-auth.ts'

const version = 'RFB 003.008\n'
const securityNone = 1
const securityVncAuth = 2

/** ClientInit with the shared flag: without it the server would close the other viewers of the session. */
export const sharedClientInit = Buffer.of(1)

/**
 * The client's half: with VncAuth under `password`, or without authentication when there is none.
 * @throws RfbViolation, StreamEnded, AppError at the scope's end
 */
export async function authenticate(server: Duplex, password: string | undefined, scope: Scope): Promise<void> {
  const theirs = (await readExactly(server, 12, scope)).toString('latin1')
  if (theirs !== version) throw new RfbViolation(`the machine speaks ${JSON.stringify(theirs)}`)
  server.write(version)
  const count = (await readExactly(server, 1, scope)).readUInt8(0)
  if (count === 0) throw new RfbViolation(`the machine refuses: ${await readReason(server, scope)}`)
  const types = await readExactly(server, count, scope)
  const wanted = password === undefined ? securityNone : securityVncAuth
  if (!types.includes(wanted)) throw new RfbViolation(`the machine does not offer ${nameOf[wanted]}`)
  server.write(Buffer.of(wanted))
  if (password !== undefined) server.write(vncAuthResponse(await readExactly(server, 16, scope), password))
  const result = (await readExactly(server, 4, scope)).readUInt32BE(0)
  if (result !== 0) throw new RfbViolation(`the machine refuses: ${await readReason(server, scope)}`)
}

const nameOf = { [securityNone]: 'access without a password', [securityVncAuth]: 'VncAuth' }

async function readReason(server: Duplex, scope: Scope): Promise<string> {
  const length = (await readExactly(server, 4, scope)).readUInt32BE(0)
  return (await readExactly(server, Math.min(length, 500), scope)).toString('utf8')
}

/**
 * The server's half, without authentication, and the client's ClientInit: its shared flag is not asked.
 * @throws RfbViolation, StreamEnded, AppError at the scope's end
 */
export async function greetClient(client: Duplex, scope: Scope): Promise<void> {
  client.write(version)
  const theirs = (await readExactly(client, 12, scope)).toString('latin1')
  if (theirs !== version) throw new RfbViolation(`the viewer speaks ${JSON.stringify(theirs)}`)
  client.write(Buffer.of(1, securityNone))
  const chosen = (await readExactly(client, 1, scope)).readUInt8(0)
  if (chosen !== securityNone) throw new RfbViolation(`the viewer chose security type ${chosen}`)
  client.write(Buffer.alloc(4))
  await readExactly(client, 1, scope)
}
