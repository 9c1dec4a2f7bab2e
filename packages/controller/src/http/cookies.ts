import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyRequest } from 'fastify'

/**
 * With `__Host-` a browser takes a cookie from this very host over https only: no neighbour (`shop.example` for
 * `anteroom.shop.example`, or whoever answers its plain http) can plant one. Over http, which is loopback, it has no prefix: Chromium
 * and Firefox would take one there, Safari would not.
 */
const named = (origin: string, name: string): string => (origin.startsWith('https:') ? `__Host-${name}` : name)

export const operatorCookie = (origin: string): string => named(origin, 'anteroom_operator')

/** Of a sign-in that has begun: what binds the issuer's answer to this browser. */
export const attemptCookie = (origin: string): string => named(origin, 'anteroom_attempt')

/** Of one session: its id is in the name, so that several in one browser do not push each other out. */
export const visitorCookie = (origin: string, sessionId: string): string => named(origin, `anteroom_visit_${sessionId}`)

/** Values of the cookies that say who asks at this address, the operator's first. */
export function cookieValues({ cookies, params }: FastifyRequest, origin: string): string[] {
  const { id } = (params ?? {}) as { id?: string }
  const names = [operatorCookie(origin), ...(id === undefined ? [] : [visitorCookie(origin, id)])]
  return names.map((name) => cookies[name]).filter((value) => value !== undefined)
}

/** Scripts cannot read it and other sites cannot send it. */
export function cookieOptions(origin: string): CookieSerializeOptions {
  return { path: '/', httpOnly: true, sameSite: 'strict', secure: origin.startsWith('https:') }
}

/**
 * In a frame of another site browsers keep no strict cookie. Partitioned, it belongs to that frame on that site alone; changes still
 * need the page's own origin and header. Over http there is none for frames of other sites: every cookie of that kind is a secure one.
 */
export function visitorCookieOptions(origin: string, isFramed: boolean): CookieSerializeOptions {
  const options = cookieOptions(origin)
  return isFramed && options.secure ? { ...options, sameSite: 'none', partitioned: true } : options
}
