import type { IncomingMessage } from 'node:http'
import type { FastifyHelmetOptions } from '@fastify/helmet'

/** The origin that a request was sent to; undefined: none of ours. */
type OriginOf = (request: Pick<IncomingMessage, 'headers'>) => string | undefined

/** No inline script or style anywhere; frames are refused, so that nobody can lay anything over the pages. */
export function securityHeaders(publicUrl: string | undefined, originOf: OriginOf) {
  return {
    contentSecurityPolicy: policy(originOf, ["'none'"]),
    referrerPolicy: { policy: 'no-referrer' as const },
    xFrameOptions: { action: 'deny' as const },
    strictTransportSecurity: publicUrl?.startsWith('https:') ? { maxAge: 31_536_000 } : false,
  } satisfies FastifyHelmetOptions
}

/** For the hosted page, which the pages of some origins may show in a frame. */
export function framedBy(ancestors: readonly string[], originOf: OriginOf): FastifyHelmetOptions {
  if (ancestors.length === 0) return {}
  // X-Frame-Options cannot name anybody.
  return { contentSecurityPolicy: policy(originOf, [...ancestors]), xFrameOptions: false }
}

function policy(originOf: OriginOf, frameAncestors: string[]) {
  return {
    useDefaults: false,
    directives: {
      defaultSrc: ["'self'"],
      // For older browsers: 'self' does not cover ws in all of them.
      connectSrc: ["'self'", (request: IncomingMessage) => originOf(request)?.replace(/^http/, 'ws') ?? "'self'"],
      imgSrc: ["'self'", 'data:', 'blob:'],
      styleSrc: ["'self'"],
      scriptSrc: ["'self'"],
      frameAncestors,
      baseUri: ["'none'"],
      formAction: ["'self'"],
      objectSrc: ["'none'"],
    },
  }
}
