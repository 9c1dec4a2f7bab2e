import { errorDefinitions, problem } from '@anteroom/contract'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import type { ApiDocument, Operation } from './api-operations.ts'
import type { Shot } from './shots.ts'
import type { Answer } from './wire.ts'

/** What must be in no answer: traces, statements, files, names of parts. */
const inside =
  /\bat .{1,200}:\d+:\d+|node_modules|\.ts:\d+|SQLITE|\b(select|insert into|update|delete from) .{0,100}\b(from|values|set|where)\b|constraint failed|no such (column|table)|ERR_[A-Z]|FST_|root:x:0/i

/** RFC 3339: its time looks like the line and column of a trace. */
const moment = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z/g

/** Says what is wrong with an answer; undefined: nothing. */
export class Judge {
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false })
  readonly #compiled = new Map<object, ValidateFunction>()

  constructor({ components }: ApiDocument) {
    for (const [name, schema] of Object.entries(components.schemas))
      this.#ajv.addSchema(schema, `#/components/schemas/${name}`)
  }

  complaint({ operation, wire, onlyBody }: Shot, answer: Answer | 'no answer' | 'silence'): string | undefined {
    // Node closes the connection of every CONNECT that nobody listens for.
    if (answer === 'no answer') return wire.method === 'CONNECT' ? undefined : 'closed without an answer'
    if (answer === 'silence') return 'no answer in time'
    const { status, headers, body } = answer
    if (status >= 500 && status !== 503) return `${status} ${body}`
    const leaked = inside.exec(body.replaceAll(moment, ''))?.[0]
    if (leaked !== undefined) return `tells of the inside: ${leaked}`
    if (status >= 400) return this.#problemComplaint(wire.method, answer)
    if (status === 101) return 'upgraded without a ticket'
    const wrongBody = onlyBody && !this.#allows(operation?.body, onlyBody.json ?? {})
    if (wrongBody) return `${status} to a body that the description does not allow`
    const isOfOperation = operation && wire.method === operation.method && matches(operation, wire.target)
    if (!isOfOperation || status === 304) return undefined
    return this.#successComplaint(operation, status, headers.get('content-type'), body)
  }

  /** Is a wrong field of the body named, where all else is right? */
  namingComplaint({ operation, onlyBody }: Shot, { status, body }: Answer): string | undefined {
    if (!onlyBody || this.#allows(operation?.body, onlyBody.json ?? {})) return undefined
    if (status === 413) return undefined
    const { code, fields = [] } = problem.parse(parse(body))
    if (code === 'unauthenticated') return undefined
    if (code !== 'invalid_request') return `a wrong body gives ${code}`
    return fields.length > 0 ? undefined : 'no field is named'
  }

  #problemComplaint(method: string, { status, headers, body }: Answer): string | undefined {
    if (method === 'HEAD') return undefined
    if (headers.get('content-type') !== 'application/problem+json')
      return `${status} is no problem: ${body.slice(0, 300)}`
    const told = problem.safeParse(parse(body))
    if (!told.success) return `${status} is no valid problem: ${told.error.message}`
    const { code, fields, detail } = told.data
    if (told.data.status !== status || errorDefinitions[code].status !== status) return `${code} with ${status}`
    if (code === 'invalid_request' && !fields?.length && !detail) return 'says neither what nor where'
    if (code === 'method_not_allowed' && !headers.get('allow')) return 'no Allow header'
    return undefined
  }

  #successComplaint(operation: Operation, status: number, type = '', body: string): string | undefined {
    const described = operation.responses[String(status)]
    if (!described) return `${status} is not described`
    const schema = described.content?.['application/json']?.schema
    if (!schema) return undefined
    if (!type.startsWith('application/json')) return `${type} instead of JSON`
    const validate = this.#validator(schema)
    return validate(parse(body)) ? undefined : `not as described: ${this.#ajv.errorsText(validate.errors)}`
  }

  #allows(schema: object | undefined, value: unknown): boolean {
    return schema === undefined || this.#validator(schema)(value) === true
  }

  #validator(schema: object): ValidateFunction {
    const known = this.#compiled.get(schema) ?? this.#ajv.compile(schema)
    this.#compiled.set(schema, known)
    return known
  }
}

const matches = ({ path }: Operation, target: string): boolean =>
  new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(target.split('?', 1)[0] ?? '')

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
