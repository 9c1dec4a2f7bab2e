/**
 * The link between controller and machine. The controller always dials; the machine can open no connection of its own.
 *
 * The one claim goes to port 7001, where a small program listens that is sooner awake than the agent (docs/adr/0004): a line of
 * text, and a line for an answer.
 *
 * claim <AgentClaim's fields, see claimLine> → `ok`; `refused` when claimed already with another secret (same claim again: `ok`);
 *      `error <what went wrong>`, and then the machine is as unclaimed as before
 *
 * All else is HTTP/1.1 with the agent on port 7000. `GET /v1/hello` needs no secret; from the claim on every other request carries
 * `Authorization: Bearer <secret of the claim>`.
 *
 * GET  /v1/hello                        → AgentHello
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
import { errorCode } from './errors.ts'
import { machineId, sessionId } from './ids.ts'
import { providerDefinition } from './provider.ts'
import { captureSummary } from './session.ts'

export const agentProtocol = 2
export const agentPort = 7000
export const claimPort = 7001
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
  /** SHA-256 of the secret that every later request carries, hex. */
  secret_digest: z.string().regex(/^[0-9a-f]{64}$/),
  /** Eight characters, as vncpasswd(1) writes them into a file, hex. */
  rfb_password: z.string().regex(/^[0-9a-f]{16}$/),
  /** The host's clock, milliseconds since 1970. */
  now_ms: z.number().int().positive(),
  /** 64 fresh random bytes, hex. */
  entropy: z.string().regex(/^[0-9a-f]{128}$/),
})
export type AgentClaim = z.infer<typeof agentClaim>

/** What goes to the claim port; the time as seconds and nanoseconds. */
export const claimLine = ({ machine_id, secret_digest, rfb_password, now_ms, entropy }: AgentClaim): string =>
  `claim ${machine_id} ${secret_digest} ${rfb_password} ${Math.floor(now_ms / 1000)} ${(now_ms % 1000) * 1_000_000} ${entropy}\n`

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
  failure: z.object({ code: errorCode, detail: z.string().max(2000) }).nullable(),
})
export type AgentStatus = z.infer<typeof agentStatus>

export const maxSealedBytes = 16 * 1024 * 1024

export const agentCaptured = z.object({
  /** Compact JWE (RFC 7516): ECDH-ES on X25519, A256GCM, of a SealedPayload. */
  sealed: z.string().max(maxSealedBytes),
  summary: captureSummary,
})
export type AgentCaptured = z.infer<typeof agentCaptured>
