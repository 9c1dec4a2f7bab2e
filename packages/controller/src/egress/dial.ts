import { connect, isIP, type Socket } from 'node:net'
import { AppError, type Scope, systemErrorCode } from '@anteroom/base'
import { isPublicAddress } from './address.ts'
import { type Destination, fixedAddress, refusal } from './destination.ts'
import type { EgressPolicy, Resolve } from './egress.ts'

const connectDeadlineMs = 15_000
/** Before the next address is tried; Node's 250 ms is less than one round trip on a bad network. */
const attemptMs = 3_000
/** Nothing either way: longer than people read, shorter than a forgotten tunnel matters. */
const idleMs = 600_000

/**
 * A connection to where the policy lets a machine go. What is judged is what is connected to: the name is resolved once
 * and the connection made to those very addresses, so a second answer of its name server (DNS rebinding) changes nothing.
 * @throws AppError egress_denied, egress_unreachable
 */
export async function dial(
  policy: EgressPolicy,
  destination: Destination,
  resolve: Resolve,
  scope: Scope,
): Promise<Socket> {
  const refused = refusal(policy, destination)
  if (refused) throw new AppError('egress_denied', { detail: refused })
  const name = `${destination.host}:${destination.port}`
  try {
    return await scope.run({ name: `connect to ${name}`, deadlineMs: connectDeadlineMs }, async (inner) => {
      const fixed = fixedAddress(policy, destination.host)
      const addresses = fixed ? [fixed] : await inner.race(judgedAddresses(destination.host, resolve))
      return await open(addresses, destination.port, inner)
    })
  } catch (error) {
    if (error instanceof AppError && error.code === 'egress_denied') throw error
    const why = systemErrorCode(error) ?? (error instanceof AppError ? error.code : 'the connection failed')
    throw new AppError('egress_unreachable', { detail: `${name}: ${why}`, cause: error })
  }
}

/**
 * The public ones among the addresses of `host`; exported for its test, which may not connect to a public address.
 * @throws AppError egress_denied when there are none but private ones
 */
export async function judgedAddresses(host: string, resolve: Resolve): Promise<string[]> {
  const candidates = isIP(host) ? [host] : await resolve(host)
  if (candidates.length === 0) throw new Error(`${host} has no address`)
  const judged = candidates.filter((address) => isPublicAddress(address))
  if (judged.length > 0) return judged
  throw new AppError('egress_denied', {
    detail: `${host} leads to a private or special address (${candidates[0]}) that egress.hosts does not name`,
  })
}

async function open(addresses: readonly string[], port: number, scope: Scope): Promise<Socket> {
  const all = addresses.map((address) => ({ address, family: isIP(address) }))
  const socket = connect({
    // Never looked up: `lookup` answers with the addresses that were judged, whatever the name.
    host: 'judged.invalid',
    port,
    lookup: (_host, _options, done) => done(null, all),
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: attemptMs,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
  })
  scope.undo(() => void socket.destroy())
  await scope.race(
    new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    }),
  )
  // The streams that are joined to it learn of its errors; without a listener one would end the process.
  socket.on('error', () => {})
  socket.setTimeout(idleMs, () => socket.destroy())
  return socket
}
