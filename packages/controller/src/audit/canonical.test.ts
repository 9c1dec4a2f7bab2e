import { expect, test } from 'vitest'
import { canonicalJson } from './canonical.ts'

test('members come in the order of their UTF-16 code units (the example of RFC 8785, section 3.2.3)', () => {
  const value = {
    '\u20ac': 'Euro Sign',
    '\r': 'Carriage Return',
    '\ufb33': 'Hebrew Letter Dalet With Dagesh',
    '1': 'One',
    '\u{1f600}': 'Emoji: Grinning Face',
    '\u0080': 'Control',
    '\u00f6': 'Latin Small Letter O With Diaeresis',
  }
  expect([...canonicalJson(value).matchAll(/:"([^"]+)"/g)].map(([, said]) => said)).toEqual([
    'Carriage Return',
    'One',
    'Control',
    'Latin Small Letter O With Diaeresis',
    'Euro Sign',
    'Emoji: Grinning Face',
    'Hebrew Letter Dalet With Dagesh',
  ])
})

test('values are printed as section 3.2.2 has them', () => {
  const value = { b: [1, null, true, { d: 0, c: -7 }], a: '\u20ac$\u000f\nA\'B"\\\\"/' }
  expect(canonicalJson(value)).toBe('{"a":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/","b":[1,null,true,{"c":-7,"d":0}]}')
})
