import { describe, expect, test } from 'vitest'
import { fixedAddress, parseDestination, refusal } from './destination.ts'
import { egressPolicyOf } from './egress.ts'

const policy = {
  allow: ['app.example.com', '*.example.org', 'xn--bcher-kva.example', '93.184.216.34', '*.0.0.1'],
  hosts: { 'app.example.com': '10.0.0.7', '*.example.org': '10.0.0.8', 'deep.example.org': '10.0.0.9' },
  ports: [8443],
}

describe('parseDestination', () => {
  test.each([
    ['App.Example.COM:443', { host: 'app.example.com', port: 443 }],
    ['app.example.com.:443', { host: 'app.example.com', port: 443 }],
    ['bücher.example:443', { host: 'xn--bcher-kva.example', port: 443 }],
    ['2130706433:80', { host: '127.0.0.1', port: 80 }],
    ['0x7f.1:80', { host: '127.0.0.1', port: 80 }],
    ['0177.0.0.1:80', { host: '127.0.0.1', port: 80 }],
    ['127.1.:80', { host: '127.0.0.1', port: 80 }],
    ['１２７.0.0.1:80', { host: '127.0.0.1', port: 80 }],
    ['[::ffff:127.0.0.1]:80', { host: '::ffff:7f00:1', port: 80 }],
    ['[0:0:0:0:0:0:0:1]:80', { host: '::1', port: 80 }],
  ])('%s is one thing in one form', (authority, expected) => {
    expect(parseDestination(authority)).toEqual(expected)
  })

  test.each([
    'app.example.com',
    'app.example.com:',
    'app.example.com:0',
    'app.example.com:65536',
    'app.example.com:443:80',
    'evil.test@app.example.com:443',
    'app.example.com:443@evil.test:443',
    'app.example.com/@evil.test:443',
    'app.example.com\\@evil.test:443',
    'app.example.com#evil.test:443',
    'app%2eexample.com:443',
    '[fe80::1%eth0]:443',
    '::1:80',
    '1.2.3.4.5:80',
    ':80',
    '.:80',
    ' :80',
  ])('%j is refused', (authority) => {
    expect(parseDestination(authority)).toBeUndefined()
  })
})

describe('refusal', () => {
  test.each([
    ['app.example.com:443', true],
    ['example.org:80', true],
    ['a.b.example.org:443', true],
    ['a.example.org:8443', true],
    ['xn--bcher-kva.example:443', true],
    ['93.184.216.34:443', true],
    ['app.example.com:4455', true],
    ['xn--bcher-kva.example:22', false],
    ['93.184.216.34:25', false],
    ['example.com:443', false],
    ['notapp.example.com:443', false],
    ['app.example.com.evil.test:443', false],
    ['evilexample.org:443', false],
    ['10.0.0.1:443', false],
    ['127.0.0.1:80', false],
  ])('%s: allowed %s', (authority, allowed) => {
    const destination = parseDestination(authority)
    expect(destination).toBeDefined()
    expect(destination && refusal(policy, destination) === undefined).toBe(allowed)
  })

  test('an exact name is fixed before a pattern', () => {
    expect(fixedAddress(policy, 'deep.example.org')).toBe('10.0.0.9')
    expect(fixedAddress(policy, 'other.example.org')).toBe('10.0.0.8')
    expect(fixedAddress(policy, 'xn--bcher-kva.example')).toBeUndefined()
  })
})

test('a provider may use the ports that its own addresses name', () => {
  const common = { name: 'demo', title: 'Demo', egress: { allow: ['idp.test'] } }
  const idp = { kind: 'oauth2' as const, issuer: 'http://idp.test:4455', client_id: 'x', scopes: ['openid'] }
  expect(egressPolicyOf({ ...common, ...idp, capture: { tokens: true } })).toEqual({
    allow: ['idp.test'],
    ports: [4455],
  })
  const site = { kind: 'website' as const, start_url: 'https://app.test/' }
  const capture = { cookies: [], storage: ['http://app.test:8080', 'http://b.test:8080'] }
  expect(egressPolicyOf({ ...common, ...site, capture }).ports).toEqual([8080])
})
