import { nearest } from '@anteroom/base'
import { oauth2Provider, type ProviderDefinition, websiteProvider } from '@anteroom/contract'
import { z } from 'zod'

export type FieldPath = readonly (string | number)[]

/** What is wrong with a definition, and where in it. */
export interface Finding {
  readonly path: FieldPath
  readonly message: string
}

const schemas = { oauth2: oauth2Provider, website: websiteProvider }
const kinds = Object.keys(schemas)

/** A definition of the right shape, or everything that is wrong with it. */
export function checkShape(value: unknown): ProviderDefinition | Finding[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return [{ path: [], message: 'must be a group of keys such as `name: example`' }]
  const kind: unknown = 'kind' in value ? value.kind : undefined
  if (kind !== 'oauth2' && kind !== 'website') return [{ path: ['kind'], message: kindMessage(kind) }]
  const result = schemas[kind].safeParse(value, { error: plainMessage })
  return result.success ? result.data : result.error.issues.flatMap((issue) => findingsOf(issue, schemas[kind], []))
}

function kindMessage(kind: unknown): string {
  const meant = typeof kind === 'string' ? nearest(kind.slice(0, 64), kinds) : undefined
  return `must be ${kinds.join(' or ')}${meant ? `; did you mean ${meant}?` : ''}`
}

/** zod's own words speak of types; these speak to someone who writes YAML. */
function plainMessage(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type') {
    if (issue.input === undefined) return 'is required'
    return `must be ${typeNames[issue.expected] ?? issue.expected}`
  }
  if (issue.code === 'invalid_value') return `must be ${issue.values.map(String).join(' or ')}`
  if (issue.code === 'invalid_format') return formatNames[issue.format]
  return undefined
}

const typeNames: Record<string, string> = {
  string: 'text (put it in quotes if it looks like a number or a date)',
  array: 'a list',
  object: 'a group of keys',
  record: 'a group of keys',
}
const formatNames: Record<string, string> = {
  url: 'must be an address such as https://app.example.com/login',
  ipv4: 'must be an IP address',
  ipv6: 'must be an IP address',
}

function findingsOf(issue: z.core.$ZodIssue, schema: z.core.$ZodType, above: FieldPath): Finding[] {
  const path = [...above, ...issue.path.map((key) => (typeof key === 'number' ? key : String(key)))]
  if (issue.code === 'unrecognized_keys') {
    const known = keysOf(schemaAt(schema, issue.path))
    return issue.keys.map((key) => ({ path: [...path, key], message: unknownKeyMessage(key, known) }))
  }
  if (issue.code === 'invalid_union') {
    const options = optionsOf(schemaAt(schema, issue.path))
    const branch = closestBranch(issue.errors, options)
    const option = options[branch]
    const findings = option ? (issue.errors[branch] ?? []).flatMap((inner) => findingsOf(inner, option, path)) : []
    if (findings.length > 0) return findings
  }
  return [{ path, message: issue.message }]
}

/**
 * Of the forms that a value may have, the one that its author seems to have meant: the fewest things are wrong with it,
 * and its keys are the closest to those that are unknown.
 */
function closestBranch(errors: readonly (readonly z.core.$ZodIssue[])[], options: readonly z.core.$ZodType[]): number {
  const cost = errors.map((issues, index) => {
    const known = keysOf(options[index])
    const misspelt = issues.some((i) => i.code === 'unrecognized_keys' && i.keys.some((key) => meantBy(key, known)))
    return issues.length - (misspelt ? 0.5 : 0)
  })
  return cost.indexOf(Math.min(...cost))
}

/** Comparing is quadratic; no key of ours is longer. */
const meantBy = (key: string, known: readonly string[]) => (key.length <= 64 ? nearest(key, known) : undefined)

function unknownKeyMessage(key: string, known: readonly string[]): string {
  const meant = meantBy(key, known)
  return `is not known${meant ? `; did you mean ${meant}?` : `; known here: ${known.join(', ')}`}`
}

const optionsOf = (schema: z.core.$ZodType | undefined): readonly z.core.$ZodType[] =>
  schema instanceof z.ZodUnion ? schema.options : []

const keysOf = (schema: z.core.$ZodType | undefined): string[] =>
  schema instanceof z.ZodObject ? Object.keys(schema.shape) : []

function schemaAt(schema: z.core.$ZodType | undefined, path: readonly PropertyKey[]): z.core.$ZodType | undefined {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return schemaAt(schema.unwrap(), path)
  const [key, ...below] = path
  if (key === undefined) return schema
  if (schema instanceof z.ZodObject) return schemaAt(schema.shape[String(key)], below)
  if (schema instanceof z.ZodArray) return schemaAt(schema.element, below)
  if (schema instanceof z.ZodRecord) return schemaAt(schema.valueType, below)
  for (const option of optionsOf(schema)) {
    const found = schemaAt(option, path)
    if (found) return found
  }
  return undefined
}
