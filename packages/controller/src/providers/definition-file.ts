import { AppError } from '@anteroom/base'
import type { ProviderDefinition } from '@anteroom/contract'
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseAllDocuments } from 'yaml'
import { checkRules } from './definition-rules.ts'
import { checkShape, type FieldPath } from './schema-problems.ts'

export interface FileProblem {
  readonly line: number
  /** Such as `egress.allow[0]`; empty when it is the text itself. */
  readonly field: string
  readonly message: string
}

/** One YAML document of a file: a definition, or what is wrong with it. */
export interface DefinitionEntry {
  /** undefined when the text is so broken that not even the name can be read. */
  readonly name: string | undefined
  readonly line: number
  readonly definition: ProviderDefinition | undefined
  readonly problems: readonly FileProblem[]
}

/** A definition takes a few hundred bytes. */
const longestText = 64 * 1024
const mostDocuments = 100

/** Reads the documents of a file. Whatever the text is, it never throws: what cannot be read is a problem. */
export function parseDefinitions(text: string): DefinitionEntry[] {
  if (text.length > longestText) return [broken(1, `the file is larger than ${longestText / 1024} KiB`)]
  const counter = new LineCounter()
  try {
    const documents = parseAllDocuments(text, { lineCounter: counter, prettyErrors: false, stringKeys: true })
    // `empty` marks a stream without any document.
    if ('empty' in documents) return []
    if (documents.length > mostDocuments) return [broken(1, `the file has more than ${mostDocuments} documents`)]
    return documents.filter((document) => !isEmpty(document)).map((document) => parseDocument(document, counter))
  } catch (error) {
    // Nesting thousands deep ends in a RangeError, inside the parser.
    return [broken(1, `the file cannot be read as YAML (${AppError.from(error).detail})`)]
  }
}

const isEmpty = (document: Document): boolean =>
  document.errors.length === 0 &&
  (document.contents === null || (isScalar(document.contents) && document.contents.value === null))

function parseDocument(document: Document, counter: LineCounter): DefinitionEntry {
  const name = nameIn(document)
  const line = lineOf(document, counter, ['name'])
  const [syntax] = [...document.errors, ...document.warnings]
  if (syntax) return { ...broken(counter.linePos(syntax.pos[0]).line, `is not valid YAML: ${syntax.message}`), name }
  let value: unknown
  try {
    // Refuses aliases that expand without end ("billion laughs").
    value = document.toJS()
  } catch (error) {
    return { ...broken(line, `cannot be read: ${AppError.from(error).detail}`), name }
  }
  const shape = checkShape(value)
  const findings = Array.isArray(shape) ? shape : checkRules(shape)
  const problems = findings.map(({ path, message }) => ({
    line: lineOf(document, counter, path),
    field: fieldName(path),
    message,
  }))
  return { name, line, definition: Array.isArray(shape) || problems.length > 0 ? undefined : shape, problems }
}

function nameIn(document: Document): string | undefined {
  const name = isMap(document.contents) ? document.contents.get('name') : undefined
  return typeof name === 'string' ? name : undefined
}

const broken = (line: number, message: string): DefinitionEntry => ({
  name: undefined,
  line,
  definition: undefined,
  problems: [{ line, field: '', message }],
})

const fieldName = (path: FieldPath): string =>
  path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`))
    .join('')
    .replace(/^\./, '')

/** The line of the key or list item at `path`, or of the closest one around it that is written down. */
function lineOf(document: Document, counter: LineCounter, path: FieldPath): number {
  let node: unknown = document.contents
  let offset = rangeStart(document.contents)
  for (const key of path) {
    if (isAlias(node)) node = node.resolve(document)
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === key)
      if (!pair) break
      offset = rangeStart(pair.key)
      node = pair.value
    } else if (isSeq(node) && typeof key === 'number') {
      node = node.items[key]
      if (!isNode(node)) break
      offset = rangeStart(node)
    } else break
  }
  return counter.linePos(offset).line
}

const rangeStart = (node: unknown): number => (isNode(node) ? ((node as Node).range?.[0] ?? 0) : 0)
