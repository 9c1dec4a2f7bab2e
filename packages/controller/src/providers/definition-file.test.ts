import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type DefinitionEntry, parseDefinitions } from './definition-file.ts'

const oauth2 = `name: demo
title: Demo identity
kind: oauth2
issuer: https://idp.example.com
client_id: anteroom
scopes: [openid, profile]
egress:
  allow: [idp.example.com]
capture: { tokens: true }
`
const website = `name: site
title: Example site
kind: website
start_url: https://app.example.com/login
success:
  any:
    - cookie: session_id
    - url: https://app.example.com/home*
capture:
  cookies: ["*.example.com"]
  storage: ["https://app.example.com"]
egress:
  allow:
    - "*.example.com"
`

const problemsOf = (text: string) =>
  parseDefinitions(text).flatMap((entry) => entry.problems.map((p) => `${p.line} ${p.field}: ${p.message}`))

describe('parseDefinitions', () => {
  test('reads several documents of one file', () => {
    const entries = parseDefinitions(`${oauth2}---\n# between\n---\n${website}`)
    expect(entries.map(({ name, line, problems }) => ({ name, line, problems }))).toEqual([
      { name: 'demo', line: 1, problems: [] },
      { name: 'site', line: 13, problems: [] },
    ])
    expect(entries[1]?.definition).toMatchObject({ kind: 'website', start_url: 'https://app.example.com/login' })
  })

  test.each(['', '\n', '# nothing yet\n', '---\n', '---\n---\n'])(
    'an empty file has neither definition nor problem: %j',
    (text) => {
      expect(parseDefinitions(text)).toEqual([])
    },
  )

  describe('names line and field of', () => {
    const shape: [string, string, string[]][] = [
      [
        'an unknown key',
        oauth2.replace('scopes:', 'scope:'),
        ['1 scopes: is required', '6 scope: is not known; did you mean scopes?'],
      ],
      [
        'an unknown key below',
        website.replace('  cookies:', '  cookie:'),
        ['10 capture.cookie: is not known; did you mean cookies?'],
      ],
      [
        'a key of nobody',
        `${oauth2}colour: red\n`,
        [
          '10 colour: is not known; known here: name, title, egress, kind, issuer, authorization_endpoint, token_endpoint, client_id, scopes, authorization_params, capture',
        ],
      ],
      ['a missing kind', oauth2.replace('kind: oauth2\n', ''), ['1 kind: must be oauth2 or website']],
      [
        'a misspelt kind',
        oauth2.replace('oauth2', 'oauth'),
        ['3 kind: must be oauth2 or website; did you mean oauth2?'],
      ],
      ['a wrong type', oauth2.replace('[openid, profile]', 'openid'), ['6 scopes: must be a list']],
      [
        'a number for a text',
        oauth2.replace('client_id: anteroom', 'client_id: 12345'),
        ['5 client_id: must be text (put it in quotes if it looks like a number or a date)'],
      ],
      [
        'a bad address',
        website.replace('https://app.example.com/login', 'app.example.com'),
        ['4 start_url: must be an address such as https://app.example.com/login'],
      ],
      [
        'a bad item of a list',
        website.replace('- "*.example.com"', '- app.example.com\n    - https://app.example.com'),
        ['15 egress.allow[1]: must be a host name such as app.example.com or *.example.com'],
      ],
      [
        'a misspelt success rule',
        website.replace('- url:', '- urll:'),
        ['8 success.any[1].url: is required', '8 success.any[1].urll: is not known; did you mean url?'],
      ],
      [
        'an unknown success mode',
        website.replace('  any:', '  some:'),
        ['5 success.any: is required', '6 success.some: is not known; known here: any'],
      ],
      [
        'a bad fixed address',
        oauth2.replace('allow: [idp.example.com]', 'allow: [idp.example.com]\n  hosts: { idp.example.com: here }'),
        ['9 egress.hosts.idp.example.com: must be an IP address'],
      ],
      [
        'neither issuer nor endpoints',
        oauth2.replace('issuer: https://idp.example.com\n', ''),
        ['1 issuer: needs either issuer or both authorization_endpoint and token_endpoint'],
      ],
      ['a list instead of a definition', '- a\n- b\n', ['1 : must be a group of keys such as `name: example`']],
      ['a text instead of a definition', 'hello', ['1 : must be a group of keys such as `name: example`']],
    ]
    test.each(shape)('%s', (_what, text, expected) => {
      expect(problemsOf(text)).toEqual(expected)
      expect(parseDefinitions(text)[0]?.definition).toBeUndefined()
    })
  })

  describe('refuses what is not YAML as we want it, and still tells the name', () => {
    const texts: Record<string, string> = {
      'a bracket that stays open': oauth2.replace('[openid, profile]', '[openid, profile'),
      'a tab for indentation': oauth2.replace('  allow', '\tallow'),
      'the same key twice': oauth2.replace('title:', 'name: other\ntitle:'),
      'a tag': oauth2.replace('anteroom', '!!js/function "x"'),
      'aliases that expand without end': `name: demo\na: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghij'
        .split('')
        .map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefghij'[i]}`).join(',')}]`)
        .join('\n')}\n`,
    }
    test.each(Object.keys(texts))('%s', (name) => {
      const [entry] = parseDefinitions(texts[name] ?? '')
      expect(entry).toMatchObject({ name: 'demo', definition: undefined })
      expect(entry?.problems).toHaveLength(1)
      expect(entry?.problems[0]?.message).toMatch(/^(is not valid YAML|cannot be read): /)
    })

    test('a broken document does not take the one before along', () => {
      const entries = parseDefinitions(`${website}---\nname: [`)
      expect(entries[0]?.definition?.name).toBe('site')
      expect(entries[1]?.definition).toBeUndefined()
    })

    test('nesting without end', () => {
      for (const text of ['['.repeat(5_000), '{a: '.repeat(5_000), '- '.repeat(5_000)])
        expect(
          parseDefinitions(text).every((entry) => entry.definition === undefined && entry.problems.length > 0),
        ).toBe(true)
    })

    test('a file that is too large, or has too many documents', () => {
      expect(problemsOf(`# ${'x'.repeat(64 * 1024)}`)).toEqual(['1 : the file is larger than 64 KiB'])
      expect(problemsOf('---\na\n'.repeat(101))).toEqual(['1 : the file has more than 100 documents'])
    })
  })

  describe('refuses what could not work or could do too much', () => {
    const rules: [string, string, RegExp][] = [
      ['start_url', website.replace('- "*.example.com"', '- "*.other.com"'), /does not allow app.example.com/],
      ['issuer', oauth2.replace('allow: [idp.', 'allow: [www.'), /does not allow idp.example.com/],
      [
        'token_endpoint',
        `${oauth2}token_endpoint: https://tokens.example.net/t\n`,
        /does not allow tokens.example.net/,
      ],
      ['issuer', oauth2.replaceAll('idp.example.com', '10.0.0.5'), /private address/],
      [
        'issuer',
        oauth2.replace('issuer: https://idp.example.com', 'issuer: https://0x7f.1'),
        /does not allow 127.0.0.1/,
      ],
      ['issuer', oauth2.replaceAll('idp.example.com', 'localhost'), /private address/],
      ['issuer', oauth2.replace('https://idp.example.com', 'http://idp.example.com'), /must begin with https/],
      ['issuer', oauth2.replace('https://idp', 'https://me:pw@idp'), /user name or password/],
      ['issuer', oauth2.replace('idp.example.com\n', 'idp.example.com/?a=b\n'), /query/],
      [
        'egress.allow[0]',
        website.replace('- "*.example.com"', '- "*.com"\n    - "*.example.com"'),
        /every site under .com/,
      ],
      ['egress.allow[1]', website.replace('- "*.example.com"', '- "*.example.com"\n    - "127.1"'), /usual form/],
      ['egress.allow[1]', website.replace('- "*.example.com"', '- "*.example.com"\n    - "2130706433"'), /usual form/],
      [
        'egress.allow[1]',
        website.replace('- "*.example.com"', '- "*.example.com"\n    - 192.168.1.1'),
        /private address/,
      ],
      ['egress.hosts.meta.example.com', `${website}  hosts: { meta.example.com: 169.254.169.254 }\n`, /never given/],
      [
        'egress.hosts.meta.example.com',
        `${website}  hosts: { meta.example.com: "::ffff:169.254.169.254" }\n`,
        /never given/,
      ],
      ['egress.hosts.other.net', `${website}  hosts: { other.net: 10.0.0.5 }\n`, /no effect/],
      [
        'authorization_params.redirect_uri',
        `${oauth2}authorization_params: { redirect_uri: "https://evil.example" }\n`,
        /is set by Anteroom/,
      ],
      [
        'capture',
        website.replace(/ {2}cookies.*\n {2}storage.*\n/, '').replace('capture:', 'capture: {}'),
        /nothing to capture/,
      ],
      ['capture.cookies[0]', website.replace('cookies: ["*.example.com"]', 'cookies: ["*.com"]'), /every site/],
      ['capture.cookies[0]', website.replace('cookies: ["*.example.com"]', 'cookies: ["bank.net"]'), /no cookies/],
      [
        'capture.storage[0]',
        website.replace('storage: ["https://app.example.com"]', 'storage: ["https://bank.net"]'),
        /does not allow bank.net/,
      ],
      ['success.any[1].url', website.replace('/home*', '/*/home'), /at its end only/],
      ['success.any[1].url', website.replace('https://app.example.com/home*', 'https://app.example*'), /with its path/],
      [
        'success.any[1].url',
        website.replace('https://app.example.com/home*', 'https://app.example.net/*'),
        /never be true/,
      ],
      ['success.any[1].url', website.replace('/home*', '/*'), /true at start_url already/],
      [
        'success.all[0].url',
        website.replace(/ {2}any:\n.*\n/, '  all:\n').replace('/home*', '/log*'),
        /true at start_url already/,
      ],
    ]
    test.each(rules)('%s (%#)', (field, text, message) => {
      const [entry, ...others] = parseDefinitions(text)
      expect(others).toEqual([])
      expect(entry?.problems.map((p) => p.field)).toContain(field)
      expect(
        entry?.problems.find((p) => p.field === field && message.test(p.message)),
        JSON.stringify(entry?.problems),
      ).toBeDefined()
      expect(entry?.definition).toBeUndefined()
    })

    const sound: Record<string, string> = {
      'a private issuer that the operator named': oauth2
        .replaceAll('idp.example.com', 'idp.demo.test')
        .replace('https:', 'http:')
        .replace('allow: [idp.demo.test]', 'allow: [idp.demo.test]\n  hosts: { idp.demo.test: 127.0.0.1 }'),
      'a literal private address that the operator named': oauth2
        .replaceAll('idp.example.com', '10.0.0.5')
        .replace('allow: [10.0.0.5]', 'allow: ["10.0.0.5"]\n  hosts: { 10.0.0.5: 10.0.0.5 }'),
      'a success rule among `all` that is true at the start': website
        .replace('  any:', '  all:')
        .replace('/home*', '/*'),
      'no success rules': website.replace(/success:[\s\S]*(?=capture)/, ''),
    }
    test.each(Object.keys(sound))('but takes %s', (name) => {
      expect(problemsOf(sound[name] ?? '')).toEqual([])
    })
  })

  describe('never throws', () => {
    const isSound = (entry: DefinitionEntry): boolean =>
      (entry.definition === undefined) === entry.problems.length > 0 &&
      entry.problems.every((p) => Number.isInteger(p.line) && p.line >= 1 && p.message.length > 0)

    test('whatever text it gets', () => {
      const fragment = fc.constantFrom(
        ...'name: - [ ] { } & * ! | > % @ ` \' " # ? : , --- ... \n \t << kind: oauth2 website egress'.split(' '),
        '\n',
        ' ',
      )
      const yamlish = fc
        .array(fc.oneof(fragment, fc.string({ maxLength: 5 })), { maxLength: 40 })
        .map((p) => p.join(''))
      const cut = fc.tuple(fc.constantFrom(oauth2, website), fc.nat(400), fc.nat(40), fc.string({ maxLength: 8 }))
      const mutated = cut.map(([text, from, length, put]) => text.slice(0, from) + put + text.slice(from + length))
      fc.assert(
        fc.property(fc.oneof(fc.string({ unit: 'binary' }), yamlish, mutated), (text) => {
          expect(parseDefinitions(text).every(isSound)).toBe(true)
        }),
        { numRuns: 200 },
      )
    })

    test('whatever value the text holds', () => {
      const keys = fc.constantFrom(
        'name',
        'title',
        'kind',
        'issuer',
        'egress',
        'allow',
        'hosts',
        'success',
        'any',
        'url',
        'capture',
        '__proto__',
        'constructor',
      )
      const { tree } = fc.letrec((tie) => ({
        tree: fc.oneof(
          { maxDepth: 4 },
          fc.constantFrom('oauth2', 'website', 'https://a.example.com/x', '*.com', 'http://[::1]/', ''),
          fc.jsonValue({ maxDepth: 1 }),
          fc.dictionary(keys, tie('tree')),
          fc.array(tie('tree'), { maxLength: 3 }),
        ),
      }))
      const definition = fc.record({
        name: fc.constant('x'),
        kind: fc.constantFrom('oauth2', 'website'),
        more: fc.dictionary(keys, tree),
      })
      fc.assert(
        fc.property(definition, ({ more, ...rest }) => {
          expect(parseDefinitions(JSON.stringify({ ...more, ...rest })).every(isSound)).toBe(true)
        }),
        { numRuns: 150 },
      )
    })
  })
})
