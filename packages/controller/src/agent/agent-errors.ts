import { AppError, parseJson } from '@anteroom/base'
import { type AgentStatus, type ErrorCode, isErrorCode } from '@anteroom/contract'
import { z } from 'zod'
import type { AgentResponse } from './agent-request.ts'

/**
 * The codes that a machine may decide about. All others are this controller's to say: a guest that answers `disk_full` or
 * `vault_unavailable` lies.
 */
const signInFailures: readonly ErrorCode[] = [
  'consent_denied',
  'oauth_error',
  'oauth_state_mismatch',
  'token_exchange_failed',
  'issuer_unreachable',
  'egress_denied',
  'egress_unreachable',
  'browser_crashed',
  'display_lost',
  'capture_invalid',
  'deadline_exceeded',
  'internal',
]

export const callErrors = {
  open: ['forbidden', 'session_over'],
  signedIn: ['session_not_ready', 'session_over'],
  capture: ['session_not_ready', 'session_over', 'capture_invalid', 'browser_crashed', 'display_lost'],
  status: [],
  wipe: [],
} as const satisfies Record<string, readonly ErrorCode[]>
export type AgentCall = keyof typeof callErrors

/** The agent does not know a call or a body that this controller's contract has. */
const mismatches: readonly string[] = ['not_found', 'method_not_allowed', 'invalid_request', 'unsupported_media_type']

const maxDetail = 2000

/** What a guest says, as a line that can be logged and shown: no control characters, no end without end. */
export const plainText = (text: string): string => text.replace(/\p{Cc}+/gu, ' ').slice(0, maxDetail)

const agentProblem = z.object({ code: z.string().max(100), detail: z.string().optional().catch(undefined) })

/** The error of an answer that is not the success of `call`. */
export function errorOf(call: AgentCall, { status, body }: AgentResponse): AppError {
  const problem = agentProblem.safeParse(parseJson(body.toString('utf8')))
  const code = problem.success ? problem.data.code : ''
  const detail = plainText(`${call}: the agent answered ${status} ${code} ${problem.data?.detail ?? ''}`).trim()
  if (isErrorCode(code) && (callErrors[call] as readonly ErrorCode[]).includes(code))
    return new AppError(code, { detail })
  if (mismatches.includes(code)) return new AppError('agent_incompatible', { detail })
  return new AppError('agent_unreachable', { detail })
}

/** The status with a failure that a guest may report. */
export function withTrustedFailure(status: AgentStatus): AgentStatus {
  if (!status.failure) return status
  const { code, detail } = status.failure
  if (signInFailures.includes(code)) return { ...status, failure: { code, detail: plainText(detail) } }
  return { ...status, failure: { code: 'internal', detail: plainText(`the agent reported ${code}: ${detail}`) } }
}
