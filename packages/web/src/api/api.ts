import { type ErrorCode, errorDefinitions, isErrorCode, type Problem } from '@anteroom/contract'

/** What the controller answered instead of what was asked for (RFC 9457). */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem'
  readonly code: ErrorCode
  readonly status: number
  readonly detail: string | undefined
  readonly hint: string
  /** One sentence for the account owner. */
  readonly person: string

  constructor(problem: Partial<Problem>, status: number) {
    const code = problem.code !== undefined && isErrorCode(problem.code) ? problem.code : 'internal'
    const fields = problem.fields?.map((field) => `${field.pointer}: ${field.message}`).join('; ')
    const detail = [problem.detail, fields].filter((part) => part).join(' ') || undefined
    super(detail ?? problem.title ?? errorDefinitions[code].title)
    this.code = code
    this.status = status
    this.detail = detail
    this.hint = problem.hint ?? errorDefinitions[code].hint
    this.person = errorDefinitions[code].person
  }
}

/** No answer at all: the controller is not running, or this device is offline. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
}

const answerWithinMs = 15_000

/** What reverse proxies answer while there is nobody behind them. */
const gatewayStatuses: readonly number[] = [502, 503, 504]

async function call(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<unknown> {
  const mutating = method !== 'GET'
  const response = await fetch(path, {
    method,
    // The header cannot be set across origins without a preflight, which the controller refuses: this stops CSRF.
    headers: mutating ? { 'X-Anteroom-Request': '1', 'Content-Type': 'application/json' } : {},
    body: mutating ? JSON.stringify(body ?? {}) : null,
    signal: AbortSignal.any([AbortSignal.timeout(answerWithinMs), ...(signal ? [signal] : [])]),
  }).catch((error: unknown) => {
    throw new Unreachable('The service does not answer.', { cause: error })
  })
  if (response.status === 204) return undefined
  const json: unknown = await response.json().catch(() => undefined)
  if (response.ok) return json
  const problem: Partial<Problem> = json !== null && typeof json === 'object' ? json : {}
  if (problem.code === undefined && gatewayStatuses.includes(response.status))
    throw new Unreachable('The service does not answer.')
  throw new ApiProblem(problem, response.status)
}

// The controller serves these pages and the answers from one build, so answers are not validated again here.
export const get = async <T>(path: string, signal?: AbortSignal): Promise<T> =>
  (await call('GET', path, undefined, signal)) as T
export const post = async <T = void>(path: string, body?: unknown): Promise<T> => (await call('POST', path, body)) as T
export const remove = async (path: string): Promise<void> => {
  await call('DELETE', path)
}

/** What to tell the account owner about an error. */
export function wordsFor(error: unknown): string {
  if (error instanceof ApiProblem) return error.person
  if (error instanceof Unreachable)
    return navigator.onLine
      ? 'The service does not answer right now.'
      : 'This device is offline. Check its internet connection.'
  return errorDefinitions.internal.person
}
