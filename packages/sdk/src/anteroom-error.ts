import { errorDefinitions } from './errors.gen.ts'
import type { components } from './openapi.gen.ts'

export type ErrorCode = components['schemas']['ErrorCode']

export interface FieldProblem {
  /** JSON pointer into the body, or the name of a parameter. */
  readonly pointer: string
  readonly message: string
}

export interface AnteroomErrorOptions {
  readonly detail?: string | undefined
  readonly cause?: unknown
  readonly fields?: readonly FieldProblem[] | undefined
  readonly requestId?: string | undefined
  readonly retryAfterSeconds?: number | undefined
  /** Of an answer whose code this version does not know. */
  readonly status?: number | undefined
}

/** The one error of this package, the caller's own abort aside. Decide by `code`; all texts are for people. */
export class AnteroomError extends Error {
  override readonly name = 'AnteroomError'
  /** Each is explained in docs/reference/errors.md. `controller_unreachable`: nobody answered, or something that is no Anteroom. */
  readonly code: ErrorCode
  readonly status: number
  readonly title: string
  /** What exactly happened this time. */
  readonly detail: string | null
  /** A sentence that can be shown to the account owner. */
  readonly person: string
  /** What you or the operator can do. */
  readonly hint: string
  /** May the same request, unchanged, succeed later? */
  readonly retryable: boolean
  readonly retryAfterSeconds: number | null
  /** What is wrong with the request, place by place. */
  readonly fields: readonly FieldProblem[]
  /** The controller's log has its lines under it; null: no controller answered. */
  readonly requestId: string | null

  constructor(code: ErrorCode, options: AnteroomErrorOptions = {}) {
    const { status, title, person, hint, retryable } = errorDefinitions[code]
    const fields = options.fields ?? []
    const said = [options.detail, ...fields.map(({ pointer, message }) => `${pointer} ${message}`)]
    super([title, said.filter(Boolean).join('; ')].filter(Boolean).join(': '), { cause: options.cause })
    this.code = code
    this.status = options.status ?? status
    this.title = title
    this.detail = options.detail ?? null
    this.person = person
    this.hint = hint
    this.retryable = options.status === undefined ? retryable : options.status === 429 || options.status >= 500
    this.retryAfterSeconds = options.retryAfterSeconds ?? null
    this.fields = fields
    this.requestId = options.requestId ?? null
  }
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(errorDefinitions, code)

/** The error that an answer is (RFC 9457). */
export async function errorOf(response: Response, asked: string): Promise<AnteroomError> {
  const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json') === true
  const problem = isProblem ? await readProblem(response) : undefined
  if (!problem)
    return new AnteroomError('controller_unreachable', {
      detail: `${asked} was answered ${response.status} by something that is no Anteroom; is it a proxy in front of it?`,
    })
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN)
  const told = {
    fields: problem.fields,
    requestId: problem.request_id,
    retryAfterSeconds: Number.isFinite(retryAfter) ? retryAfter : undefined,
  }
  if (isErrorCode(problem.code)) return new AnteroomError(problem.code, { ...told, detail: problem.detail })
  const detail = [`This version of the SDK does not know the code ${problem.code}`, problem.detail]
  return new AnteroomError('internal', { ...told, status: response.status, detail: detail.filter(Boolean).join(': ') })
}

type Problem = Omit<components['schemas']['Problem'], 'code'> & { readonly code: string }

async function readProblem(response: Response): Promise<Problem | undefined> {
  try {
    const told: unknown = await response.json()
    return typeof told === 'object' && told !== null && 'code' in told ? (told as Problem) : undefined
  } catch {
    return undefined
  }
}
