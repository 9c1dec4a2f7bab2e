import { AppError, type Log } from '@anteroom/base'
import { errorDefinitions, type Problem } from '@anteroom/contract'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { bodyLimitBytes } from './body.ts'
import { aboutRequest } from './request-log.ts'

export const problemType = 'application/problem+json'

/** What Fastify throws before a handler runs, by its code; its own messages may repeat the address with its ticket. */
const frameworkErrors: Record<string, AppError> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: new AppError('unsupported_media_type'),
  FST_ERR_CTP_BODY_TOO_LARGE: new AppError('body_too_large', { detail: `The limit is ${bodyLimitBytes} bytes.` }),
  FST_ERR_BAD_URL: new AppError('invalid_request', { detail: 'The address is not correctly percent-encoded.' }),
  FST_ERR_MAX_PARAM_LENGTH: new AppError('not_found'),
}

/** Details of these are never sent: they would tell of our inside, or that something of somebody else exists. */
const silent: ReadonlySet<string> = new Set(['internal', 'not_found'])

function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  const { code, statusCode } = (error ?? {}) as { code?: unknown; statusCode?: unknown }
  const known = typeof code === 'string' ? frameworkErrors[code] : undefined
  if (known) return known
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return new AppError('invalid_request', { detail: 'The request could not be read.', cause: error })
  return new AppError('internal', { cause: error })
}

export function problemOf(error: AppError, requestId: string): Problem {
  const { title, status, hint } = errorDefinitions[error.code]
  return {
    type: `/errors#${error.code}`,
    title,
    status,
    code: error.code,
    ...(error.detail !== undefined && !silent.has(error.code) && { detail: error.detail }),
    ...(error.fields && { fields: [...error.fields] }),
    hint,
    request_id: requestId,
  }
}

/** Answers with the error as RFC 9457 problem details. The only place that chooses a status code for an error. */
export function sendProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply, log: Log): FastifyReply {
  const error = toAppError(thrown)
  const problem = problemOf(error, request.id)
  if (problem.status >= 500)
    log[error.code === 'internal' ? 'error' : 'warn'](
      { ...aboutRequest(request), code: error.code, error: thrown },
      'a request failed',
    )
  // Also here: what fails before routing passes no hook.
  reply.header('x-request-id', request.id)
  if (error.retryAfterSeconds !== undefined) reply.header('retry-after', Math.ceil(error.retryAfterSeconds))
  // RFC 9110, section 15.5.2: a 401 names how to authenticate.
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer')
  // As bytes: to text Fastify would add a charset, which this media type does not have (RFC 9457, section 6.1).
  return reply
    .code(problem.status)
    .header('cache-control', 'no-store')
    .type(problemType)
    .send(Buffer.from(JSON.stringify(problem)))
}
