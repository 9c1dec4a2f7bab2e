import {
  type CaptureSummary,
  errorCodes,
  outcomes,
  type QueueReason,
  type Session,
  sessionStatuses,
  stageNames,
} from '@anteroom/contract'
import { describe, expect, test } from 'vitest'
import { completed, failed, sampleProvider, sampleSession, stages } from '../../test/sample.ts'
import { capturedWords } from './captured-words.ts'
import { formatAge, formatBytes, formatCounter, formatDuration, formatRemaining } from './format-time.ts'
import { advice, faceOf, headline, teardownMs } from './session-words.ts'
import { stagesAhead, stageWords } from './stage-words.ts'

test('every stage has words of its own, in the order in which stages happen', () => {
  expect(Object.keys(stageWords)).toEqual(stageNames)
  const sentences = Object.values(stageWords).flatMap(({ running, done }) => [running, done])
  expect(new Set(sentences).size).toBe(2 * stageNames.length)
})

test('what lies ahead follows the furthest stage that has begun', () => {
  expect(stagesAhead([])[0]).toBe('queue')
  expect(stagesAhead(['queue', 'network'])).toEqual(['machine', 'boot', 'claim', 'screen', 'open'])
  // The machine was lost and made again.
  expect(stagesAhead(['queue', 'network', 'machine', 'boot', 'machine'])[0]).toBe('claim')
  expect(stagesAhead(['open', 'sign_in'])).toEqual([])
})

test('every state has a face and a headline', () => {
  for (const status of sessionStatuses) {
    for (const outcome of [...outcomes, null]) {
      const session: Session = sampleSession({ status, outcome })
      expect(['starting', 'live', 'finishing', 'over']).toContain(faceOf(session))
      expect(headline(session, sampleProvider)).toMatch(/\w{3}/)
    }
  }
  expect(headline(sampleSession({ status: 'starting', stages: stages(['queue', 5], ['boot']) }), sampleProvider)).toBe(
    stageWords.boot.running,
  )
})

describe('who waits for a machine', () => {
  const waiting = (position: number, seconds: number | null, reason: QueueReason | null = 'capacity_exhausted') =>
    headline(
      sampleSession({ queue: { position, estimated_wait_seconds: seconds, reason }, stages: stages(['queue']) }),
      sampleProvider,
    )
  test.each([
    [1, 0, 'You are next; less than a minute'],
    [1, null, 'You are next'],
    [3, 49, 'You are number 3 in line; less than a minute'],
    [3, 50, 'You are number 3 in line; about a minute'],
    [3, 130, 'You are number 3 in line; about 2 minutes'],
    [90, 6000, 'You are number 90 in line; about 2 hours'],
  ])('as number %i for %j s: %s', (position, seconds, words) => expect(waiting(position, seconds)).toBe(words))

  test('is told only what they can do about it, and nothing while the queue moves', () => {
    expect(waiting(7, null, 'subject_limit_reached')).toMatch(/^Finish or cancel/)
    expect(waiting(1, 0, null)).toBe(stageWords.queue.running)
  })
})

test('every failure comes with advice, and only where it helps with the advice to try again', () => {
  const adviceFor = (code: (typeof errorCodes)[number]): string =>
    advice(failed({ failure: { code, stage: null, message: '', hint: '', detail: null } }))
  for (const code of errorCodes) expect(adviceFor(code)).toMatch(/\w{3}/)
  expect(adviceFor('vmm_exited')).toContain('once more')
  expect(adviceFor('image_missing')).toContain('will not help')
})

test('the time that teardown took is of the last attempt, and unknown while it runs', () => {
  expect(teardownMs(completed())).toBe(810)
  expect(teardownMs(completed({ stages: stages(['teardown', 50], ['teardown']) }))).toBeNull()
})

describe('what was captured', () => {
  const nothing: CaptureSummary = {
    kind: 'website',
    tokens: [],
    scopes: [],
    cookies: 0,
    origins: [],
    local_storage: 0,
    session_storage: 0,
    indexed_db: 0,
  }
  test('tokens and permissions', () => {
    expect(capturedWords({ ...nothing, tokens: ['access_token'], scopes: ['openid', 'email'] })).toEqual([
      'An access token',
      'Permissions: openid, email',
    ])
  })
  test('cookies and storage, in the singular and the plural', () => {
    const origins = ['https://a.example', 'https://b.example']
    expect(capturedWords({ ...nothing, cookies: 1, local_storage: 3, indexed_db: 1, origins })).toEqual([
      '1 cookie',
      '3 stored entries and 1 database',
      'From https://a.example and https://b.example',
    ])
  })
  test('nothing is said, too', () => {
    expect(capturedWords(nothing)[0]).toMatch(/^Nothing/)
  })
})

describe('times', () => {
  test.each([
    [0, '< 0.1 s'],
    [49, '< 0.1 s'],
    [50, '0.1 s'],
    [420, '0.4 s'],
    [9949, '9.9 s'],
    [9950, '10 s'],
    [59_499, '59 s'],
    [59_500, '1 min 00 s'],
    [64_000, '1 min 04 s'],
    [3_599_600, '1 h 00 min'],
  ])('%i ms took %s', (ms, words) => expect(formatDuration(ms)).toBe(words))
  test.each([
    [-200, '0 s'],
    [3999, '3 s'],
    [61_000, '1 min 01 s'],
  ])('%i ms so far: %s', (ms, words) => expect(formatCounter(ms)).toBe(words))
  test.each([
    [-1, '0:00'],
    [1, '0:01'],
    [545_000, '9:05'],
    [3_600_000, '1:00:00'],
  ])('%i ms left: %s', (ms, words) => expect(formatRemaining(ms)).toBe(words))
  test.each([
    [-5000, 'now'],
    [42_000, '42 s'],
    [119_000, '1 min'],
    [7_300_000, '2 h'],
    [200_000_000, '2 d'],
  ])('%i ms ago: %s', (ms, words) => expect(formatAge(ms)).toBe(words))
  test('sizes', () =>
    expect([0, 999, 12_300, 412_345_678, 1_130_000_000].map(formatBytes)).toEqual([
      ...['0 B', '999 B', '12 kB', '412 MB', '1.1 GB'],
    ]))
})
