import { expect, test } from 'vitest'
import { ipv4Range, ipv4Text, overlap } from './ipv4-range.ts'

test('a range begins at its network address, whatever address names it', () => {
  const { first, last } = ipv4Range('10.213.7.9/22')
  expect([ipv4Text(first), ipv4Text(last)]).toEqual(['10.213.4.0', '10.213.7.255'])
})

test('an address alone is a range of one', () => {
  expect(ipv4Range('192.0.2.1')).toEqual({ first: 0xc0000201, last: 0xc0000201 })
})

test.each([
  ['10.213.0.0/24', '10.0.0.0/8', true],
  ['10.213.0.0/24', '10.213.0.255', true],
  ['10.213.0.0/24', '10.213.1.0/24', false],
  ['10.213.1.0/24', '10.213.0.0/24', false],
])('%s and %s overlap: %s', (a, b, expected) => {
  expect(overlap(ipv4Range(a), ipv4Range(b))).toBe(expected)
})
