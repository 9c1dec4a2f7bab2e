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

test('of the proxy: what was refused', () => {
  const record = (host: string, allowed: boolean) => ({ host, port: 443, allowed, bytesUp: 1, bytesDown: 2 })
  const text = JSON.stringify([record('good.example.com', true), record('bad.example.com', false)])
  expect(relevantLines('egress', text)).toEqual(['refused: bad.example.com:443'])
  const many = Array.from({ length: 50 }, (_, n) => record(`h${n}.example.com`, false))
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
