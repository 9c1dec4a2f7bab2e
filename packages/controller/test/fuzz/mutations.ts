import fc, { type Arbitrary } from 'fast-check'
import { brokenBodies } from './inputs.ts'
import type { Wire } from './wire.ts'

/** What makes a request the handshake of a WebSocket. */
export const upgrade = [
  ['Upgrade', 'websocket'],
  ['Sec-WebSocket-Version', '13'],
  ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
  ['Sec-WebSocket-Protocol', 'binary'],
] as const

export const encoded = (text: string): string => encodeURIComponent(text.toWellFormed())
export const utf8 = (text: string): string => Buffer.from(text).toString('latin1')

type Mutation = Arbitrary<(wire: Wire) => Wire>

export const withBody = (wire: Wire, body: Buffer): Wire => ({
  ...wire,
  body,
  headers: [
    ...wire.headers.filter(([name]) => !['content-length', 'content-type'].includes(name.toLowerCase())),
    ['Content-Type', 'application/json'],
    ['Content-Length', String(body.length)],
  ],
})
const withHeader = (wire: Wire, name: string, value: string): Wire => ({
  ...wire,
  headers: [...wire.headers.filter(([given]) => given.toLowerCase() !== name.toLowerCase()), [name, value]],
})
const withMore = (wire: Wire, name: string, value: string): Wire => ({
  ...wire,
  headers: [...wire.headers, [name, value]],
})

const oddText = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '0',
    '-1',
    '1e3',
    '0x10',
    '١',
    '99999999999999999999',
    'null',
    'undefined',
    '[object Object]',
    '*',
    "'",
    '"',
  ),
  fc.constantFrom(
    'a\u0000',
    'ö',
    '💥',
    '\u202e',
    'x'.repeat(201),
    'x'.repeat(9_000),
    'a b',
    'a,b',
    '%',
    '%00',
    '%E0%A4%A',
    '%c0%ae%c0%ae',
  ),
  fc.string({ unit: 'binary', maxLength: 30 }),
)
/** No line ends in the middle of a header: that would be another header, which others add. */
const headerText = oddText.map((text) => utf8(text).replaceAll(/[\r\n]/g, ' '))

const badSegments = fc.oneof(
  fc.constantFrom(
    '',
    '.',
    '..',
    '%',
    '%0',
    '%00',
    '%E0%A4%A',
    '%2e%2e%2f',
    '..%2f..%2fetc%2fpasswd',
    '%252e%252e',
    '%ED%A0%80',
    '*',
  ),
  fc.constantFrom(
    'ses_1',
    'con_1',
    'vm_aaaaaaaaaaaaaaaaaaaaaaaa',
    `ses_${'A'.repeat(24)}`,
    `ses_${'a'.repeat(25)}`,
    'x'.repeat(101),
    'x'.repeat(5_000),
  ),
  fc.constantFrom(
    ';x',
    ':id',
    '{id}',
    '$',
    '[',
    '|',
    '^',
    '~root',
    'a%2Fb',
    'a\\b',
    '#x',
    '%u0041',
    'index.html%00.js',
    '.env',
    'vault.key',
  ),
  fc.string({ unit: 'binary', maxLength: 20 }).map(encoded),
)

const ofTarget: Mutation = fc.oneof(
  // One segment is another.
  fc.tuple(fc.nat(), badSegments).map(([at, segment]) => (wire: Wire) => {
    const [path = '', search] = wire.target.split('?')
    const segments = path.split('/')
    const index = 1 + (at % Math.max(1, segments.length - 1))
    const changed = segments.map((one, n) => (n === index ? segment : one)).join('/')
    return { ...wire, target: utf8(search === undefined ? changed : `${changed}?${search}`) || '/' }
  }),
  fc
    .constantFrom(
      '/',
      '//',
      '/..',
      '/.',
      '?',
      '??',
      '&',
      '%',
      '#a',
      ';a=b',
      '/%2e%2e/%2e%2e/etc/passwd',
      '\\..\\..',
      `?${'a=1&'.repeat(900)}`,
    )
    .map((more) => (wire: Wire) => ({ ...wire, target: wire.target + more })),
  fc
    .tuple(
      fc.constantFrom('limit', 'cursor', 'status', 'provider', 'subject', 'ticket', 'x', '__proto__', 'a[b]', ''),
      oddText,
    )
    .map(([name, value]) => (wire: Wire) => ({
      ...wire,
      target: `${wire.target}${wire.target.includes('?') ? '&' : '?'}${encoded(name)}=${encoded(value)}`,
    })),
  fc
    .tuple(
      fc.constantFrom('limit', 'cursor', 'status', 'ticket'),
      fc.constantFrom('%', '%E0%A4%A', '%ED%A0%80', '+', '=', '&&=', '%00'),
    )
    .map(([name, value]) => (wire: Wire) => ({ ...wire, target: `${wire.target}?${name}=${value}` })),
  fc
    .constantFrom('http://evil.test', 'http://127.0.0.1', '*', '', 'HTTP://[::1', '///')
    .map((before) => (wire: Wire) => ({
      ...wire,
      target: before === '*' ? '*' : before + wire.target,
    })),
)

const ofHeaders: Mutation = fc.oneof(
  fc
    .tuple(
      fc.constantFrom(
        ...[
          'Idempotency-Key',
          'Last-Event-ID',
          'Authorization',
          'Cookie',
          'Host',
          'Origin',
          'Content-Type',
          'Accept',
          'X-Forwarded-For',
        ],
        ...[
          'X-Forwarded-Host',
          'X-Forwarded-Proto',
          'Range',
          'If-None-Match',
          'Accept-Encoding',
          'X-HTTP-Method-Override',
          'X-Anteroom-Request',
        ],
        ...[
          'Sec-WebSocket-Key',
          'Sec-WebSocket-Version',
          'Sec-WebSocket-Protocol',
          'Sec-WebSocket-Extensions',
          'Upgrade',
          'Expect',
          'TE',
        ],
      ),
      headerText,
      fc.boolean(),
    )
    .map(
      ([name, value, more]) =>
        (wire: Wire) =>
          more ? withMore(wire, name, value) : withHeader(wire, name, value),
    ),
  fc
    .constantFrom<readonly [string, string]>(
      ['Authorization', 'Bearer'],
      ['Authorization', 'Bearer ark_x'],
      ['Authorization', `Bearer ark_${'a'.repeat(24)}_${'a'.repeat(43)}`],
      ['Authorization', 'Basic b3BlcmF0b3I6'],
      ['Cookie', 'anteroom_operator=%00; anteroom_visit_x=%'],
      ['Cookie', `a=${'b'.repeat(7_000)}`],
      ['Cookie', ';;==;__proto__=1;toString=2'],
      ['Host', 'evil.test'],
      ['Host', 'anteroom.test'],
      ['Host', '127.0.0.1:99999'],
      ['Origin', 'null'],
      ['Origin', 'http://evil.test'],
      ['Expect', '100-continue'],
      ['Expect', 'the-moon'],
      ['Content-Encoding', 'gzip'],
      ['Transfer-Encoding', 'chunked'],
      ['Transfer-Encoding', 'gzip, chunked'],
      ['Content-Length', '-1'],
      ['Content-Length', '3, 4'],
      ['Content-Length', '99999999999999999999'],
      ['Content-Length', '70000'],
      ['Content-Length', '1'],
      ['Content-Type', 'application/json; charset=utf-16'],
      ['Content-Type', 'application/json;;'],
      ['Content-Type', 'APPLICATION/JSON'],
      ['Content-Type', 'application/x-www-form-urlencoded'],
      ['Content-Type', 'multipart/form-data'],
      ['Content-Type', 'text/plain'],
      ['Upgrade', 'h2c'],
      ['Connection', 'Upgrade, HTTP2-Settings'],
      ['X-Big', 'x'.repeat(20_000)],
      ['Bad Name', 'x'],
      ['', 'x'],
      ['X-Fold', 'a\r\n b'],
      ['X-Nul', 'a\u0000b'],
      ['X-Bare', 'a\rb'],
    )
    .map(
      ([name, value]) =>
        (wire: Wire) =>
          withHeader(wire, name, value),
    ),
  fc
    .constantFrom(
      ...upgrade.map(([name]) => name),
      'Host',
      'Authorization',
      'Content-Type',
      'Content-Length',
      'Connection',
      'X-Anteroom-Request',
    )
    .map((name) => (wire: Wire) => ({
      ...wire,
      headers: wire.headers.filter(([given]) => given.toLowerCase() !== name.toLowerCase()),
    })),
  fc.constant((wire: Wire) =>
    upgrade.reduce((now, [name, value]) => withHeader(now, name, value), withHeader(wire, 'Connection', 'Upgrade')),
  ),
  fc.constant((wire: Wire) => ({
    ...wire,
    headers: [...wire.headers, ...Array.from({ length: 500 }, (_, n) => [`X-${n}`, 'x'] as const)],
  })),
)

const ofMethod: Mutation = fc
  .constantFrom(
    'GET',
    'HEAD',
    'POST',
    'PUT',
    'PATCH',
    'DELETE',
    'OPTIONS',
    'TRACE',
    'CONNECT',
    'PROPFIND',
    'QUERY',
    'get',
    'FOO',
    'X'.repeat(300),
  )
  .map((method) => (wire: Wire) => ({ ...wire, method }))

const ofBytes: Mutation = brokenBodies.map((body) => (wire: Wire) => withBody(wire, body))

/** Changes of a request in one place, each for itself legal or not. */
export const mutations: Mutation = fc.oneof(
  { weight: 4, arbitrary: ofTarget },
  { weight: 5, arbitrary: ofHeaders },
  { weight: 1, arbitrary: ofMethod },
  { weight: 2, arbitrary: ofBytes },
)
