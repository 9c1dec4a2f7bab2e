import { createHash, randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { AppError, askLine, type Log, parseJson, type Scope } from '@anteroom/base'
import {
  type AgentCaptured,
  type AgentClaim,
  type AgentHello,
  type AgentOpen,
  type AgentStatus,
  agentHello,
  agentProtocol,
  agentStatus,
  claimLine,
  claimPort,
  maxSealedBytes,
} from '@anteroom/contract'
import { obfuscateRfbPassword } from '@anteroom/rfb'
import { z } from 'zod'
import { type AgentCall, errorOf, plainText, withTrustedFailure } from './agent-errors.ts'
import { type AgentRequest, type AgentResponse, askAgent, UnusableAnswer, upgradeToEgress } from './agent-request.ts'
import { parseCaptureAnswer } from './capture-answer.ts'

/** The controller's half of the guest link to one machine. Stateless: made from an address and a secret at any time. */
export interface AgentLink {
  /** undefined while nothing answers at the address. @throws AppError agent_incompatible */
  hello(scope: Scope): Promise<AgentHello | undefined>
  /** Idempotent for the same machine. @throws AppError agent_unreachable; forbidden when it was claimed by somebody else */
  claim(claim: Pick<AgentClaim, 'machine_id'>, scope: Scope): Promise<void>
  /** @throws AppError agent_unreachable; forbidden when the machine serves another session */
  open(open: AgentOpen, scope: Scope): Promise<void>
  /** Long poll, see AgentStatus. @throws AppError agent_unreachable, agent_incompatible */
  status(after: number, waitMs: number, scope: Scope): Promise<AgentStatus>
  /** @throws AppError agent_unreachable, session_not_ready */
  signedIn(scope: Scope): Promise<void>
  /** @throws AppError capture_invalid, agent_unreachable, session_not_ready, browser_crashed, display_lost */
  capture(scope: Scope): Promise<AgentCaptured>
  wipe(scope: Scope): Promise<void>
  /** Tail of the agent's log, at most 64 KiB; '' when it does not answer. */
  log(scope: Scope): Promise<string>
  /** The raw connection after `101 anteroom-egress`; the guest is the HTTP/2 client on it. @throws AppError agent_unreachable */
  egress(scope: Scope): Promise<Duplex>
}

/** What the controller needs to know of a machine to reach it. Derived, never stored: see `machineSecrets`. */
export interface MachineSecrets {
  /** Secret of the agent link. */
  readonly agent: string
  /** VncAuth password, eight characters. */
  readonly rfb: string
}

/** The same for the same vault key and machine, so that a restarted controller reaches the machines that live. */
export const machineSecrets = (deriveKey: (label: string) => Buffer, machineId: string): MachineSecrets => ({
  agent: deriveKey(`agent link of ${machineId}`).toString('base64url'),
  // 48 bits; VncAuth takes no more than eight characters (RFC 6143 section 7.2.2).
  rfb: deriveKey(`RFB password of ${machineId}`).toString('base64url').slice(0, 8),
})

export interface AgentLinkParts {
  readonly ip: string
  readonly secrets: MachineSecrets
  readonly log: Log
}

const shortBytes = 64 * 1024
/** While it boots, a machine may take a connection and never answer on it (QEMU's forwards do). */
const helloDeadlineMs = 3_000
/** A guest under emulation on a loaded host. */
const callDeadlineMs = 30_000
/** Reading a site's storage means visiting each of its origins. */
const captureDeadlineMs = 120_000

type Ask = Pick<AgentRequest, 'method' | 'path' | 'body'> & {
  readonly deadlineMs?: number
  readonly maxBytes?: number
  readonly bearer?: false
  readonly whenLonger?: AgentRequest['whenLonger']
}

export function createAgentLink({ ip, secrets, log }: AgentLinkParts): AgentLink {
  const ask = (asked: Ask, scope: Scope): Promise<AgentResponse> =>
    within(asked.deadlineMs ?? callDeadlineMs, `agent ${asked.path}`, scope, (inner) => {
      const { maxBytes = shortBytes, whenLonger = 'fail', bearer, ...rest } = asked
      return askAgent({ ip, maxBytes, whenLonger, ...rest, ...(bearer !== false && { bearer: secrets.agent }) }, inner)
    })

  /** An answer with `expected`, or an error of the closed list. */
  const succeed = async (call: AgentCall, expected: number, asked: Ask, scope: Scope): Promise<Buffer> => {
    const response = await ask(asked, scope).catch((error: unknown) => {
      log.debug({ ip, call, error }, 'the agent gave no usable answer')
      throw error instanceof UnusableAnswer ? unusable(call, error.message, error) : unreachable(call, error)
    })
    if (response.status === expected) return response.body
    // What a failure says is short, whatever a success may hold: no more of it is parsed.
    throw errorOf(call, { ...response, body: response.body.subarray(0, shortBytes) })
  }

  return {
    hello: (scope) => hello(ask, scope),
    async claim({ machine_id }, scope) {
      const claim: AgentClaim = {
        machine_id,
        secret_digest: createHash('sha256').update(secrets.agent).digest('hex'),
        rfb_password: obfuscateRfbPassword(secrets.rfb).toString('hex'),
        now_ms: scope.clock.now(),
        entropy: randomBytes(64).toString('hex'),
      }
      const answer = await within(callDeadlineMs, 'claim', scope, (inner) =>
        askLine({ ip, port: claimPort }, claimLine(claim), inner),
      ).catch((error: unknown) => Promise.reject(unreachable('claim', error)))
      if (answer === 'ok') return
      if (answer === 'refused')
        throw new AppError('forbidden', { detail: 'this machine was claimed with another secret' })
      throw new AppError('agent_unreachable', { detail: plainText(`claim: ${answer}`) })
    },
    async open(open, scope) {
      await succeed('open', 202, { method: 'POST', path: '/v1/open', body: open }, scope)
    },
    async status(after, waitMs, scope) {
      const path = `/v1/status?after=${after}&wait_ms=${waitMs}`
      const body = await succeed('status', 200, { method: 'GET', path, deadlineMs: waitMs + callDeadlineMs }, scope)
      return withTrustedFailure(parse('status', agentStatus, body))
    },
    async signedIn(scope) {
      await succeed('signedIn', 204, { method: 'POST', path: '/v1/signed-in' }, scope)
    },
    async capture(scope) {
      const limits = { deadlineMs: captureDeadlineMs, maxBytes: maxSealedBytes + shortBytes }
      const body = await succeed('capture', 200, { method: 'POST', path: '/v1/capture', ...limits }, scope)
      try {
        return parseCaptureAnswer(body)
      } catch (error) {
        throw unusable('capture', describe(error), error)
      }
    },
    async wipe(scope) {
      await succeed('wipe', 204, { method: 'POST', path: '/v1/wipe' }, scope)
    },
    async log(scope) {
      try {
        const { status, body } = await ask({ method: 'GET', path: '/v1/log', whenLonger: 'cut' }, scope)
        return status === 200 ? body.toString('utf8').split('\n').map(plainText).join('\n') : ''
      } catch (error) {
        log.debug({ ip, error }, 'the agent gave no log')
        return ''
      }
    },
    async egress(scope) {
      return await within(callDeadlineMs, 'agent /v1/egress', scope, (inner) =>
        upgradeToEgress({ ip, bearer: secrets.agent }, inner),
      ).catch((error: unknown) => Promise.reject(unreachable('egress', error)))
    },
  }
}

/**
 * Runs under a deadline of its own. What it throws as an AppError is the end of the caller's scope, which is the caller's
 * to explain; an agent that does not answer in time is an ordinary error like a closed connection.
 */
async function within<T>(
  deadlineMs: number,
  name: string,
  scope: Scope,
  work: (inner: Scope) => Promise<T>,
): Promise<T> {
  // Decided before: a timer may fire a moment early, and then neither deadline has quite passed.
  const isCallersDeadline = scope.remainingMs <= deadlineMs
  try {
    return await scope.run({ name, deadlineMs }, work)
  } catch (error) {
    scope.throwIfOver()
    if (error instanceof UnusableAnswer || isCallersDeadline) throw error
    throw new Error(describe(error), { cause: error })
  }
}

const protocolOnly = z.object({ agent: z.literal('anteroom'), protocol: z.number().int() })

async function hello(ask: (asked: Ask, scope: Scope) => Promise<AgentResponse>, scope: Scope) {
  const asked = { method: 'GET', path: '/v1/hello', bearer: false, deadlineMs: helloDeadlineMs } as const
  const response = await ask(asked, scope).catch((error: unknown) => {
    if (error instanceof AppError) throw error
    if (error instanceof UnusableAnswer) throw unusable('hello', error.message, error)
    return undefined
  })
  // 5xx: something answers, but it is not up yet.
  if (!response || response.status >= 500) return undefined
  const content = parseJson(response.body.toString('utf8'))
  const speaks = protocolOnly.safeParse(content)
  if (speaks.success && speaks.data.protocol !== agentProtocol)
    throw new AppError('agent_incompatible', {
      detail: `the agent of the image speaks protocol ${speaks.data.protocol}, this controller ${agentProtocol}`,
    })
  return parse('hello', agentHello, response.body)
}

function parse<T>(call: AgentCall | 'hello', schema: z.ZodType<T>, body: Buffer): T {
  const result = schema.safeParse(parseJson(body.toString('utf8')))
  if (result.success) return result.data
  const issues = result.error.issues.map(({ path, message }) => `/${path.join('/')} ${message}`)
  throw unusable(call, plainText(issues.join('; ')), result.error)
}

const unusable = (call: AgentCall | 'hello', why: string, cause?: unknown): AppError =>
  new AppError(call === 'capture' ? 'capture_invalid' : 'agent_incompatible', { detail: `${call}: ${why}`, cause })

/** What ended the caller's scope stays what it is. */
const unreachable = (call: AgentCall | 'claim' | 'egress', error: unknown): AppError =>
  error instanceof AppError
    ? error
    : new AppError('agent_unreachable', { detail: `${call}: ${describe(error)}`, cause: error })

const describe = (error: unknown): string => plainText(error instanceof Error ? error.message : String(error))
