import fc, { type Arbitrary } from 'fast-check'
import type { Operation } from './api-operations.ts'
import type { FuzzedEdge } from './fuzzed-edge.ts'
import { inputOf, spoilt } from './inputs.ts'
import { encoded, mutations, upgrade, utf8, withBody } from './mutations.ts'
import type { Wire } from './wire.ts'

/** One request, and what is known about it. */
export interface Shot {
  readonly operation: Operation | undefined
  readonly wire: Wire
  /** All but the body is right; it is this. */
  readonly onlyBody?: { readonly json: unknown }
}

/** A request as the description has it, by somebody who may do that. */
function good(operation: Operation, edge: FuzzedEdge): Arbitrary<Wire & { readonly json: unknown }> {
  const [, , resource] = operation.path.split('/')
  const ids =
    resource !== undefined && resource in edge.ids ? edge.ids[resource as keyof typeof edge.ids] : edge.ids.sessions
  const parameters = operation.parameters ?? []
  const values = (place: string) =>
    fc.record(
      Object.fromEntries(
        parameters.filter((one) => one.in === place).map(({ name, schema }) => [name, inputOf(schema, edge.document)]),
      ),
      { requiredKeys: [] },
    )
  const isLive = operation.path.endsWith('/live')
  return fc
    .record({
      id: fc.constantFrom(...ids),
      query: values('query'),
      headers: values('header'),
      json: operation.body ? inputOf(operation.body, edge.document) : fc.constant(undefined),
      by: fc.constantFrom('key', 'key', 'key', 'operator'),
      address: fc.ipV4(),
    })
    .map(({ id, query, headers, json, by, address }) => {
      const search = Object.entries(query).map(([name, value]) => `${name}=${encoded(String(value))}`)
      const body = json === undefined ? undefined : Buffer.from(JSON.stringify(json))
      return {
        method: operation.method,
        target: `${operation.path.replace('{id}', id)}${search.length > 0 ? `?${search.join('&')}` : ''}`,
        headers: [
          ['Host', `127.0.0.1:${edge.port}`],
          ['Connection', isLive ? 'Upgrade' : 'close'],
          ...(isLive ? upgrade : []),
          ['X-Forwarded-For', address],
          ...(by === 'key' ? [['Authorization', `Bearer ${edge.key}`] as const] : byCookie(edge.operatorCookie)),
          ...Object.entries(headers).map(([name, value]) => [name, utf8(String(value))] as const),
          ...(body
            ? [['Content-Type', 'application/json'] as const, ['Content-Length', String(body.length)] as const]
            : []),
        ],
        body,
        json,
      }
    })
}

const byCookie = (cookie: string) => [['Cookie', cookie] as const, ['X-Anteroom-Request', '1'] as const]
/** Addresses beside the described ones: files and pages. */
const pages = ['/', '/sign-in', '/connect/x', '/assets/app-0a1b.js', '/index.html', '/errors', '/v1/', '/favicon.ico']

export function shots(operations: readonly Operation[], edge: FuzzedEdge): Arbitrary<Shot> {
  const right = fc.oneof(
    ...operations.map((operation) =>
      good(operation, edge).map((wire) => ({
        operation,
        wire,
        ...(operation.body && { onlyBody: { json: wire.json } }),
      })),
    ),
  )
  const wrongBody = fc.oneof(
    ...operations.flatMap((operation) =>
      operation.body
        ? fc.tuple(good(operation, edge), spoilt(inputOf(operation.body, edge.document))).map(([wire, json]) => ({
            operation,
            wire: withBody(wire, Buffer.from(JSON.stringify(json))),
            onlyBody: { json },
          }))
        : [],
    ),
  )
  const mutate = (wire: Wire, changes: readonly ((wire: Wire) => Wire)[]): Wire =>
    changes.reduce((now, change) => change(now), wire)
  const wrong = fc
    .tuple(right, fc.array(mutations, { minLength: 1, maxLength: 3 }))
    .map(([{ operation, wire }, changes]) => ({ operation, wire: mutate(wire, changes) }))
  const beside = fc
    .tuple(fc.constantFrom(...pages), fc.array(mutations, { maxLength: 2 }), fc.ipV4())
    .map(([target, changes, address]) => ({
      operation: undefined,
      wire: mutate(
        {
          method: 'GET',
          target,
          headers: [
            ['Host', `127.0.0.1:${edge.port}`],
            ['Connection', 'close'],
            ['X-Forwarded-For', address],
          ],
          body: undefined,
        },
        changes,
      ),
    }))
  return fc.oneof(
    { weight: 3, arbitrary: right },
    { weight: 4, arbitrary: wrongBody },
    { weight: 6, arbitrary: wrong },
    { weight: 1, arbitrary: beside },
  )
}
