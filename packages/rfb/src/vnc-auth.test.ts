import { expect, test } from 'vitest'
import { obfuscateRfbPassword } from './vnc-auth.ts'

test('a password file is what vncpasswd writes', () => {
  // The published vector of `vncpasswd -f` for "password".
  expect(obfuscateRfbPassword('password').toString('hex')).toBe('dbd83cfd727a1458')
  expect(obfuscateRfbPassword('pass')).toHaveLength(8)
})
