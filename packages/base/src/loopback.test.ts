import { expect, test } from 'vitest'
import { isLoopback } from './loopback.ts'

test.each(['localhost', '127.0.0.1', '127.1', '127.213.0.9', '::1', '[::1]', '0:0:0:0:0:0:0:1'])(
  '%s is this host',
  (host) => expect(isLoopback(host)).toBe(true),
)

test.each([
  ...['0.0.0.0', '::', '10.0.0.7', '128.0.0.1', 'localhost.evil.test', '127.0.0.1.evil.test', '127.0.0.1@evil.test'],
  ...['[::2]', '', 'a b'],
])('%j is not', (host) => expect(isLoopback(host)).toBe(false))
