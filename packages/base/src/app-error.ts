import { type ErrorCode, errorDefinitions } from '@anteroom/contract'

export interface FieldProblem {
  /** JSON pointer into the body, or the name of a parameter. */
  readonly pointer: string
  readonly message: string
}

export interface AppErrorOptions {
  /** What exactly happened; may be shown to integrators, so never a secret and never another tenant's data. */
  readonly detail?: string
  readonly cause?: unknown
  readonly fields?: readonly FieldProblem[]
  readonly retryAfterSeconds?: number
}

/** The only error that is thrown on purpose. Its code is from the closed list in `@anteroom/contract`. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly detail: string | undefined
  readonly fields: readonly FieldProblem[] | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    const title = errorDefinitions[code].title
    super(options.detail ? `${title}: ${options.detail}` : title, { cause: options.cause })
    this.code = code
    this.detail = options.detail
    this.fields = options.fields
    this.retryAfterSeconds = options.retryAfterSeconds
  }

  /** Any thrown value as an AppError; what is not one becomes `fallback` with the value as its cause. */
  static from(error: unknown, fallback: ErrorCode = 'internal'): AppError {
    if (error instanceof AppError) return error
    return new AppError(fallback, { cause: error, ...(error instanceof Error && { detail: error.message }) })
  }
}

/** `ENOENT` and the like of a system error; undefined for everything else. */
export const systemErrorCode = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
