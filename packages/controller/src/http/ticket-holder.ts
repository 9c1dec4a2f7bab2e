import type { FastifyRequest } from 'fastify'
import type { Access, Principal } from '../access/access.ts'
import type { Holder } from '../live/live.ts'
import { principalName } from './authorisation.ts'
import { cookieValues } from './cookies.ts'
import type { Origins } from './origins.ts'

interface Edge {
  readonly access: Pick<Access, 'byCookie'>
  readonly origins: Pick<Origins, 'of'>
}

/**
 * Who of those that ask is at the screen. A browser may be the operator's and the account owner's at once, as where somebody tries
 * this out: there it is the account owner's.
 */
export async function askerAtScreen(request: FastifyRequest, sessionId: string, edge: Edge): Promise<Principal | null> {
  const { principal } = request
  if (principal?.kind !== 'operator') return principal
  const visitor = (await principalsOf(request, edge)).find((one) => one.kind === 'visitor')
  return visitor?.kind === 'visitor' && visitor.sessionId === sessionId ? visitor : principal
}

/** Whose a ticket that they ask for will be. */
export const ticketHolder = async (request: FastifyRequest, sessionId: string, edge: Edge): Promise<Holder> =>
  holderOf(await askerAtScreen(request, sessionId, edge))

export const holderOf = (principal: Principal | null): Holder => ({
  principal: principalName(principal),
  cookie: principal && 'cookie' in principal ? principal.cookie : null,
  key: principal?.kind === 'key' ? { id: principal.id, hash: principal.hash } : null,
})

/** Of all cookies in force that came along, on a route where nobody is asked who they are. */
export async function principalsOf(request: FastifyRequest, { access, origins }: Edge) {
  const values = cookieValues(request, origins.of(request))
  const found = await Promise.all(values.map((value) => access.byCookie(value)))
  return found.flatMap((principal) => (principal && 'cookie' in principal ? principal : []))
}
