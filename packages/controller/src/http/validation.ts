import { AppError, type FieldProblem, nearest } from '@anteroom/base'
import type { FastifySchemaCompiler } from 'fastify'
import { z } from 'zod'

type Issue = z.core.$ZodIssue

/** More would help nobody, and a hostile body could ask for thousands. */
const mostFields = 20
const longestNameToCompare = 64

/** JSON pointer (RFC 6901) in a body; the name alone of a parameter or header. */
const pointerTo = (part: string | undefined, path: readonly PropertyKey[]): string =>
  part === 'body'
    ? path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
    : path.map(String).join('.')

function unknownField(part: string | undefined, path: readonly PropertyKey[], name: string, schema: z.ZodType) {
  const known = schema instanceof z.ZodObject && path.length === 0 ? Object.keys(schema.shape) : []
  const meant = name.length <= longestNameToCompare ? nearest(name, known) : undefined
  return {
    pointer: pointerTo(part, [...path, name]),
    message: meant ? `is not known; did you mean ${meant}?` : 'is not known',
  }
}

const fieldsOf = (issue: Issue, schema: z.ZodType, part: string | undefined): FieldProblem[] =>
  issue.code === 'unrecognized_keys'
    ? issue.keys.slice(0, mostFields).map((name) => unknownField(part, issue.path, name, schema))
    : [{ pointer: pointerTo(part, issue.path), message: issue.message }]

/** Checks a part of a request; what is wrong is named field by field. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart }) =>
  (data: unknown) => {
    const result = schema.safeParse(data, {
      error: (issue) => (issue.code === 'invalid_type' && issue.input === undefined ? 'is required' : undefined),
    })
    if (result.success) return { value: result.data }
    const fields = result.error.issues.flatMap((issue) => fieldsOf(issue, schema, httpPart)).slice(0, mostFields)
    return { error: new AppError('invalid_request', { fields }) }
  }
