import fc, { type Arbitrary } from 'fast-check'
import type { ApiDocument, Schema } from './api-operations.ts'

/** What belongs nowhere, or nearly. */
export const oddValues: Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    ...[null, true, false, 0, -0, -1, 1.5, 2 ** 31, 2 ** 53, 1e308, -1e308, 5e-324, '', ' ', '0', 'null', [], {}, [[]]],
    ...[
      '\u0000',
      'a\u0000b',
      '\u0007',
      '\ud800',
      '\udfff\ud800',
      '\ufeff',
      '\u202eabc',
      'e\u0301'.repeat(200),
      '💥'.repeat(100),
    ],
    ...['../../etc/passwd', "' or ''='", '"; drop table x; --', '<b>x</b>', '%00', '\r\nset-cookie: a=b'],
    ...['javascript:0', 'http://[', 'http://a b', '//x', 'x'.repeat(2001), 'x'.repeat(30_000)],
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.jsonValue({ maxDepth: 3 }),
  fc.integer({ min: 2, max: 1_000 }).map(nested),
)

function nested(depth: number): unknown {
  let value: unknown = 0
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value }
  return value
}

/** What a schema allows. */
export function inputOf(schema: Schema, document: ApiDocument): Arbitrary<unknown> {
  const inner = (of: Schema): Arbitrary<unknown> => inputOf(of, document)
  if (schema.$ref) return inner(document.components.schemas[schema.$ref.split('/').at(-1) ?? ''] ?? {})
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if ('const' in schema) return fc.constant(schema.const)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return fc.oneof(...choices.map(inner))
  switch (schema.type) {
    case 'string':
      return textOf(schema)
    case 'integer':
      return fc.integer({
        min: Math.max(-(2 ** 31), schema.minimum ?? 0),
        max: Math.min(2 ** 31 - 1, schema.maximum ?? 2 ** 31),
      })
    case 'number':
      return fc.double({ min: schema.minimum ?? 0, max: schema.maximum ?? 1e6, noNaN: true })
    case 'boolean':
      return fc.boolean()
    case 'array':
      return fc.array(inner(schema.items ?? {}), { minLength: schema.minItems ?? 0, maxLength: 4 })
    case 'object': {
      const fields = Object.entries(schema.properties ?? {}).map(([name, of]) => [name, inner(of)] as const)
      return fc.record(Object.fromEntries(fields), { requiredKeys: [...(schema.required ?? [])] })
    }
    default:
      return fc.jsonValue()
  }
}

function textOf({ pattern, format, minLength = 0, maxLength = 60 }: Schema): Arbitrary<string> {
  if (format === 'uri') return fc.webUrl()
  // What it cannot make from a pattern (\p{…}) is what the pattern excludes from any text.
  if (pattern !== undefined && !pattern.includes('\\p{')) return fc.stringMatching(new RegExp(pattern))
  const text = fc.string({ unit: 'grapheme', minLength, maxLength: Math.min(maxLength, 60) })
  return pattern === undefined ? text : text.filter((made) => new RegExp(pattern, 'u').test(made) && made.trim() !== '')
}

/** The same body with one thing changed that it should not have. */
export const spoilt = (body: Arbitrary<unknown>): Arbitrary<unknown> =>
  fc.oneof(
    { weight: 1, arbitrary: oddValues },
    {
      weight: 6,
      arbitrary: fc
        .tuple(body, fc.nat(), oddValues, fc.constantFrom('replace', 'remove', 'add', 'wrap'), strangeNames)
        .map(([made, index, value, how, name]) => {
          const fields = Object.entries((made ?? {}) as object)
          const at = fields.length === 0 ? -1 : index % fields.length
          if (how === 'wrap') return [made]
          if (how === 'add' || at < 0) return Object.fromEntries([...fields, [name, value]])
          if (how === 'remove') return Object.fromEntries(fields.filter((_, n) => n !== at))
          return Object.fromEntries(fields.map(([key, old], n) => [key, n === at ? value : old]))
        }),
    },
  )

const strangeNames = fc.oneof(
  fc.constantFrom(
    '',
    'x',
    '__proto__',
    'constructor',
    'toString',
    'x/y~z',
    'Provider',
    'subject ',
    '\ud800',
    'n'.repeat(5_000),
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
)

/** Bodies that are no JSON, or no text at all. */
export const brokenBodies: Arbitrary<Buffer> = fc.oneof(
  fc
    .constantFrom(
      ...[
        '{',
        '{"provider":',
        '[',
        '"',
        '{"a":1,}',
        '{a:1}',
        "{'a':1}",
        'NaN',
        'Infinity',
        '01',
        '1 2',
        'undefined',
        '\ufeff{}',
      ],
      ...[
        '{"provider":"x","provider":"y"}',
        '{"__proto__":{"a":1}}',
        '{"constructor":{"prototype":{"a":1}}}',
        '\u0000',
        ' ',
        '\n',
      ],
      ...[
        '['.repeat(30_000),
        '{"a":'.repeat(10_000),
        `"${'x'.repeat(66_000)}"`,
        `{"subject":"${'\\u0000'.repeat(5_000)}"}`,
      ],
    )
    .map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom('fffe7b007d00', '7b22c328223a317d', 'eda080', '1f8b0800', '00').map((hex) => Buffer.from(hex, 'hex')),
)
