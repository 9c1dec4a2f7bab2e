import { z } from 'zod'
import { hostErrors } from './host-errors.ts'
import { requestErrors } from './request-errors.ts'
import { signInErrors } from './sign-in-errors.ts'

export type { ErrorDefinition } from './error-definition.ts'

/**
 * The closed list of error codes. Every failure that leaves the process, as an HTTP problem, as a session's `failure` or
 * as a WebSocket close reason, carries one of these. Each code has a section in docs/reference/errors.md.
 */
export const errorDefinitions = { ...requestErrors, ...hostErrors, ...signInErrors } as const
export type ErrorCode = keyof typeof errorDefinitions

export const errorCodes = Object.keys(errorDefinitions) as [ErrorCode, ...ErrorCode[]]

/** Named, so that the description of the API has the list once. */
export const errorCode = z.enum(errorCodes).meta({ id: 'ErrorCode' })

export const isErrorCode = (value: string): value is ErrorCode => Object.hasOwn(errorDefinitions, value)
