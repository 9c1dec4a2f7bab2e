import type { EgressResult } from '@anteroom/contract'
import { describe, expect, test } from 'vitest'
import { relevantLines } from './evidence.ts'

describe('of a console', () => {
  test('lines that tell of trouble, without colours and control characters', () => {
    const console = [
      '[    0.000000] Linux version 6.1.0',
      '[    0.100000] x86/fpu: Fail-safe defaults',
      '[    0.200000] virtio_blk virtio2: [vda] 1024 512-byte logical blocks',
      '\u001b[31m[    1.500000] Kernel panic - not syncing: VFS: Unable to mount root fs\u001b[0m\r',
      '[    1.600000] Rebooting in 1 seconds..',
    ].join('\n')
    expect(relevantLines('console', console)).toEqual([
      '[    1.500000] Kernel panic - not syncing: VFS: Unable to mount root fs',
    ])
  })

  test('how it ended, where nothing tells of any', () => {
    expect(relevantLines('console', 'one\ntwo\n\nthree\nfour\n')).toEqual(['two', 'three', 'four'])
  })

  test('no more than a screen of them', () => {
    const lines = relevantLines('console', `${'I/O error\n'.repeat(1000)}${'x'.repeat(1000)} failed\n`)
    expect(lines.length).toBeLessThanOrEqual(12)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(300)
  })
})

test('of the agent: warnings and errors, as a person would write them', () => {
  const record = (level: string, message: string, fields = {}) =>
    JSON.stringify({ at: '2026-01-02T03:04:05.678Z', level, message, ...fields })
  const log = [
    record('info', 'the agent listens', { port: 7000 }),
    record('warn', 'a program ended', { program: 'browser', reason: 'SIGSEGV' }),
    record('debug', 'a program said', { line: 'error' }),
    'not a record',
  ].join('\n')
  expect(relevantLines('agent', log)).toEqual(['03:04:05 a program ended program=browser reason=SIGSEGV'])
})

test('of the proxy: what was refused or did not answer, how often, and why', () => {
  const at = '2026-01-02T03:04:05.678Z'
  const record = (host: string | null, result: EgressResult, connections = 1, reason: string | null = null) => ({
    ...{ host, port: host === null ? null : 443, result, reason, connections },
    ...{ bytes_up: 1, bytes_down: 2, first_at: at, last_at: at },
  })
  const hosts = [
    record('good.example.com', 'connected'),
    record('bad.example.com', 'refused', 3, 'bad.example.com is not in egress.allow'),
    record('slow.example.com', 'unreachable', 1, 'slow.example.com:443: ETIMEDOUT'),
    record(null, 'refused', 70),
  ]
  expect(relevantLines('egress', JSON.stringify(hosts))).toEqual([
    'refused: bad.example.com:443, 3 times: bad.example.com is not in egress.allow',
    'unreachable: slow.example.com:443, once: slow.example.com:443: ETIMEDOUT',
    'refused: other hosts, 70 times',
  ])
  const many = Array.from({ length: 50 }, (_, n) => record(`h${n}.example.com`, 'refused'))
  expect(relevantLines('egress', JSON.stringify(many)).at(-1)).toBe('and 39 more')
})

test('of the host: what it had left', () => {
  const host = {
    at: '2026-01-02T03:04:05.678Z',
    ...{ load: [9.04, 3, 1], cores: 2, availableMemoryMiB: 300, totalMemoryMiB: 4000, freeDiskMiB: 1000, machines: 3 },
  }
  expect(relevantLines('host', JSON.stringify(host))).toEqual([
    'load 9.0 3.0 1.0 on 2 cores',
    'memory: 300 of 4000 MiB available',
    'disk: 1000 MiB free in the state directory',
    'machines: 3',
  ])
})

test.each(['console', 'vmm', 'agent', 'egress', 'host'] as const)(
  'nothing of %s, and nonsense, is no error',
  (kind) => {
    expect(relevantLines(kind, '')).toEqual([])
    expect(() => relevantLines(kind, '{"[\u0000\n[]\n{}')).not.toThrow()
  },
)
