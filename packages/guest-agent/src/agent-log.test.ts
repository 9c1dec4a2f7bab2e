import { AppError, Secret } from '@anteroom/base'
import { expect, test } from 'vitest'
import { createAgentLog } from './agent-log.ts'

test('writes lines of JSON without secrets, queries and fragments', () => {
  const lines: string[] = []
  const log = createAgentLog((line) => lines.push(line)).child({ part: 'p' })
  const cause = new Error('GET http://127.0.0.1:5/callback?code=abc&state=x failed')
  log.warn(
    { token: new Secret('abc'), url: 'https://x.test/a#access_token=abc', error: new AppError('internal', { cause }) },
    'said',
  )
  expect(lines.join('')).not.toContain('abc')
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 'warn',
    message: 'said',
    part: 'p',
    token: '[secret]',
    url: 'https://x.test/a#…',
    error: expect.stringContaining('AppError internal'),
  })
})

test('keeps the last 64 KiB in whole lines', () => {
  const log = createAgentLog(() => {})
  for (let index = 0; index < 3000; index += 1) log.info({ index }, 'a line')
  const kept = log
    .tail()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).index as number)
  expect(Buffer.byteLength(log.tail())).toBeLessThanOrEqual(64 * 1024)
  expect(kept.at(-1)).toBe(2999)
  expect(kept[0]).toBe(3000 - kept.length)
})
