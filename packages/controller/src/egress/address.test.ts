import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isPublicAddress } from './address.ts'

const nobody = (): ReadonlySet<string> => new Set()

describe('isPublicAddress', () => {
  test.each(['8.8.8.8', '93.184.216.34', '2606:4700::1111', '2a00:1450:4001::1'])('%s: yes', (address) => {
    expect(isPublicAddress(address, nobody)).toBe(true)
  })

  test.each([
    ['unspecified', '0.0.0.0', '0.1.2.3', '::'],
    ['loopback', '127.0.0.1', '127.213.0.5', '::1'],
    ['private', '10.213.0.2', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fd00::1', 'fc00::1', 'fec0::1'],
    [
      'link-local and cloud metadata',
      '169.254.169.254',
      'fe80::1',
      'fd00:ec2::254',
      '168.63.129.16',
      '100.100.100.200',
      '192.0.0.192',
    ],
    [
      'shared and reserved',
      '100.64.0.1',
      '192.0.2.1',
      '198.18.0.1',
      '198.51.100.1',
      '203.0.113.1',
      '240.0.0.1',
      '255.255.255.255',
    ],
    ['multicast', '224.0.0.1', '239.255.255.255', 'ff02::1'],
    [
      'IPv4 inside IPv6',
      '::ffff:127.0.0.1',
      '::ffff:8.8.8.8',
      '::127.0.0.1',
      '64:ff9b::7f00:1',
      '64:ff9b::808:808',
      '64:ff9b:1::1',
      '2002:7f00:1::',
      '2001:0:4136:e378::',
    ],
    ['special IPv6', '100::1', '2001:db8::1', '2001:2::1', '3fff::1', '5f00::1'],
    ['no address', '', 'localhost', '8.8.8.8.8', '1.2.3.4/8'],
  ])('%s: no', (_what, ...addresses) => {
    for (const address of addresses) expect([address, isPublicAddress(address, nobody)]).toEqual([address, false])
  })

  test('nothing but 2000::/3 is public in IPv6, however it is written', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        if (isPublicAddress(address, nobody)) expect(new URL(`http://[${address}]`).hostname).toMatch(/^\[[23]/)
      }),
      { numRuns: 5000 },
    )
  })

  test("the host's own public address is not for its machines, in any notation", () => {
    const own = () => new Set(['8.8.4.4', '2a00:1450::1'])
    expect(isPublicAddress('8.8.4.4', own)).toBe(false)
    expect(isPublicAddress('2a00:1450:0:0:0:0:0:1', own)).toBe(false)
    expect(isPublicAddress('8.8.8.8', own)).toBe(true)
  })
})
