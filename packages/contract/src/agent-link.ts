/**
 * The link between controller and guest agent: HTTP/1.1 on port 7000 of the machine. The controller always dials; the
 * machine can open no connection of its own. `GET /v1/hello` and the one `POST /v1/claim` need no secret; from the claim
 * on every other request carries `Authorization: Bearer <secret of the claim>`.
 *
 * GET  /v1/hello                        → AgentHello
 * POST /v1/claim   AgentClaim           → 204; 409 when claimed already with another secret (same claim again: 204)
 * POST /v1/settle  AgentSettle          → 204 when the start page is painted and the machine has nothing left to do, so that it
 *      can be saved; only before the claim, by whoever saves it
 * POST /v1/open    AgentOpen            → 202; idempotent for the same session_id
 * GET  /v1/status?after=N&wait_ms=M     → AgentStatus, at once when its version is over N, else after at most M ms
 * POST /v1/capture                      → AgentCaptured (the same one when asked again)
 * POST /v1/signed-in                    → 204: the person says so (website without success rules)
 * POST /v1/wipe                         → 204: ends browser, forgets tokens and browser state
 * GET  /v1/log                          → text/plain, the last 64 KiB of the agent's log
 * GET  /v1/egress with `Upgrade: anteroom-egress` → 101, then HTTP/2 with the roles reversed: the guest is the client. Each
 *      TCP connection of the browser to its proxy is one CONNECT stream (RFC 9113, section 8.5) with
 *      `:authority` = `egress`, whose bytes are that connection's bytes. The proxy itself runs in the controller.
 */
import { z } from 'zod'
import { errorCodes } from './errors.ts'
import { machineId, sessionId } from './ids.ts'
import { providerDefinition } from './provider.ts'
import { captureSummary } from './session.ts'

export const agentProtocol = 1
export const agentPort = 7000
export const rfbPort = 5900
export const egressUpgrade = 'anteroom-egress'

export const agentHello = z.object({
  agent: z.literal('anteroom'),
  protocol: z.number().int(),
  version: z.string(),
  claimed: z.boolean(),
  display: z.enum(['starting', 'up', 'lost']),
  browser: z.enum(['starting', 'up', 'crashed']),
})
export type AgentHello = z.infer<typeof agentHello>

export const agentClaim = z.object({
  machine_id: machineId,
  /** 32 random bytes, base64url. */
  secret: z.string().min(43),
  /** VncAuth looks at eight characters only (RFC 6143, section 7.2.2). */
  rfb_password: z.string().length(8),
  /** The host's clock, milliseconds since 1970. */
  now_ms: z.number().int(),
  /** 64 fresh random bytes, base64url. */
  entropy: z.string().min(86),
})
export type AgentClaim = z.infer<typeof agentClaim>

export const agentSettle = z.object({
  /** With it the screen can be looked at until the claim, which brings another one. */
  rfb_password: agentClaim.shape.rfb_password,
})
export type AgentSettle = z.infer<typeof agentSettle>

/** Public half of the session's sealing key (RFC 8037, OKP). */
export const sealingKey = z.object({ kty: z.literal('OKP'), crv: z.literal('X25519'), x: z.string(), kid: z.string() })
export type SealingKey = z.infer<typeof sealingKey>

export const agentOpen = z.object({ session_id: sessionId, provider: providerDefinition, sealing_key: sealingKey })
export type AgentOpen = z.infer<typeof agentOpen>

export const agentStatus = z.object({
  /** Grows with every change. */
  version: z.number().int(),
  phase: z.enum(['idle', 'opening', 'waiting', 'signed_in', 'captured', 'failed']),
  display: agentHello.shape.display,
  browser: agentHello.shape.browser,
  failure: z.object({ code: z.enum(errorCodes), detail: z.string().max(2000) }).nullable(),
})
export type AgentStatus = z.infer<typeof agentStatus>

export const maxSealedBytes = 16 * 1024 * 1024

export const agentCaptured = z.object({
  /** Compact JWE (RFC 7516): ECDH-ES on X25519, A256GCM, of a SealedPayload. */
  sealed: z.string().max(maxSealedBytes),
  summary: captureSummary,
})
export type AgentCaptured = z.infer<typeof agentCaptured>
