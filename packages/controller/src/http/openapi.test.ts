import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCodes, keyScopes } from '@anteroom/contract'
import { afterAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { startEdge } from './test/running-edge.ts'

const edge = await startEdge()
afterAll(() => edge.stop())

const content = z.record(z.string(), z.object({ schema: z.record(z.string(), z.unknown()) }))
const operation = z.strictObject({
  summary: z.string(),
  tags: z.tuple([z.string()]),
  parameters: z
    .array(
      z.strictObject({
        in: z.enum(['path', 'query', 'header']),
        name: z.string(),
        required: z.boolean(),
        schema: z.object({ type: z.string() }),
      }),
    )
    .default([]),
  requestBody: z.strictObject({ required: z.boolean().optional(), content }).optional(),
  security: z.array(z.record(z.string(), z.array(z.enum(keyScopes)))),
  responses: z.record(
    z.string().regex(/^(default|[1-5]\d\d)$/),
    z.strictObject({ description: z.string(), content: content.optional() }),
  ),
})
/** The shape that OpenAPI 3.1 asks for, as far as it is used here. */
const openapi = z.strictObject({
  openapi: z.string().regex(/^3\.1\.\d+$/),
  info: z.looseObject({ title: z.string(), version: z.string() }),
  servers: z.array(z.object({ url: z.string() })),
  components: z.strictObject({
    schemas: z.record(z.string().regex(/^[\w.-]+$/), z.record(z.string(), z.unknown())),
    securitySchemes: z.record(z.string(), z.object({ type: z.enum(['http', 'apiKey']) })),
  }),
  paths: z.record(z.string().startsWith('/'), z.record(z.enum(['get', 'post', 'delete']), operation.optional())),
})

const text = await (await edge.call('GET', '/openapi.json')).text()
const document = openapi.parse(JSON.parse(text))
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).flatMap(([method, described]) =>
    described ? [{ name: `${method.toUpperCase()} ${path}`, path, described }] : [],
  ),
)

test('every route but the pages is described', () => {
  const routes = edge.http.routes.entries
    .filter(({ url }) => url.startsWith('/v1/') || !/[*(]|^\/$|^\/sign-in(\/answer)?$/.test(url))
    .map(({ method, url }) => `${method} ${url.replaceAll(/:(\w+)/g, '{$1}')}`)
  expect(operations.map(({ name }) => name).toSorted()).toEqual(routes.toSorted())
})

test('every reference leads somewhere, and every part is used', () => {
  const names = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name)
  // Events are text to HTTP; their component is for whoever reads the stream.
  expect([...new Set([...names, 'SessionEvent'])].toSorted()).toEqual(
    Object.keys(document.components.schemas).toSorted(),
  )
})

test('one component lists every code, and problems refer to it', () => {
  expect(document.components.schemas.ErrorCode).toMatchObject({ enum: errorCodes })
  expect(document.components.schemas.Problem).toMatchObject({
    properties: { code: { $ref: '#/components/schemas/ErrorCode' } },
  })
})

describe.each(operations)('$name', ({ name, path, described }) => {
  test('names its parameters, its security and its problems', () => {
    const inPath = described.parameters.filter((parameter) => parameter.in === 'path')
    expect(inPath.map((parameter) => `{${parameter.name}}`)).toEqual(path.match(/\{\w+\}/g) ?? [])
    expect(inPath.every(({ required }) => required)).toBe(true)
    for (const scheme of described.security.flatMap((choice) => Object.keys(choice)))
      expect(document.components.securitySchemes).toHaveProperty(scheme)
    expect(described.responses.default?.content).toEqual({
      'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
    })
    expect(Object.keys(described.responses)).toHaveLength(2)
  })

  test('is in the guide', async () => {
    const guide = await readFile(join(import.meta.dirname, '../../../../docs/reference/api.md'), 'utf8')
    expect(guide).toContain(`\`${name}\``)
  })
})
