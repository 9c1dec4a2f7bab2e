import { describe, expect, test } from 'vitest'
import { ready, sampleSession } from '../../test/sample.ts'
import { nearLimit, type Watching } from './near-limit.ts'

const now = Date.parse('2026-01-01T12:00:00.000Z')
const inSeconds = (seconds: number): string => new Date(now + seconds * 1000).toISOString()
const watching: Watching = { now, idleSeconds: 300, inputAt: undefined, isOpen: true }

/** Fifteen minutes long, of which so many seconds are left. */
const endsIn = (seconds: number) => ({
  created_at: inSeconds(seconds - 900),
  expires_at: inSeconds(seconds),
  may_extend_until: inSeconds(seconds + 2700),
})

describe('the hard limit', () => {
  test('is told two minutes before, not earlier', () => {
    expect(nearLimit(ready(endsIn(121)), watching)).toBeUndefined()
    expect(nearLimit(ready(endsIn(120)), watching)).toEqual({ kind: 'hard', at: now + 120_000, extendable: true })
  })
  test('of a short session is told in its second half', () => {
    const short = { created_at: inSeconds(-29), expires_at: inSeconds(31), may_extend_until: inSeconds(900) }
    expect(nearLimit(ready(short), watching)).toBeUndefined()
    expect(nearLimit(ready(short), { ...watching, now: now + 1000 })).toMatchObject({ kind: 'hard' })
  })
  test('at the maximum cannot be put off', () => {
    const last = { ...endsIn(90), may_extend_until: inSeconds(90) }
    expect(nearLimit(ready(last), watching)).toMatchObject({ kind: 'hard', extendable: false })
  })
  test('holds while the computer is prepared and the capture is made, not while it is destroyed', () => {
    for (const status of ['queued', 'starting', 'vm_created', 'capturing'] as const)
      expect(nearLimit(sampleSession({ status, ...endsIn(60) }), watching)).toMatchObject({ kind: 'hard' })
    for (const status of ['ending', 'ended'] as const)
      expect(nearLimit(sampleSession({ status, ...endsIn(60) }), watching)).toBeUndefined()
  })
})

describe('the idle limit', () => {
  const idle = (seconds: number) => ready({ ...endsIn(800), idle_expires_at: inSeconds(seconds) })
  test('is told a minute before, or in the second half of a shorter one', () => {
    expect(nearLimit(idle(61), watching)).toBeUndefined()
    expect(nearLimit(idle(60), watching)).toEqual({ kind: 'idle', at: now + 60_000, extendable: true })
    const short = { ...watching, idleSeconds: 20 }
    expect(nearLimit(idle(11), short)).toBeUndefined()
    expect(nearLimit(idle(10), short)).toMatchObject({ kind: 'idle' })
  })
  test('is not near when the person has just typed here, whatever the row knows of it', () => {
    expect(nearLimit(idle(10), { ...watching, inputAt: now - 1000 })).toBeUndefined()
    expect(nearLimit(idle(10), { ...watching, inputAt: now - 280_000 })).toMatchObject({ at: now + 20_000 })
    expect(nearLimit(idle(10), { ...watching, inputAt: now - 299_000 })).toMatchObject({ at: now + 10_000 })
  })
  test('goes before the hard limit when it is earlier, and only then', () => {
    expect(nearLimit(ready({ ...endsIn(50), idle_expires_at: inSeconds(40) }), watching)?.kind).toBe('idle')
    expect(nearLimit(ready({ ...endsIn(40), idle_expires_at: inSeconds(50) }), watching)?.kind).toBe('hard')
  })
})

test('that nobody has come is told only where no screen is open', () => {
  const waited = ready({ ...endsIn(800), first_connect_expires_at: inSeconds(30) })
  expect(nearLimit(waited, watching)).toBeUndefined()
  const unopened = { ...watching, isOpen: false }
  expect(nearLimit(waited, unopened)).toEqual({ kind: 'first_connect', at: now + 30_000, extendable: true })
  expect(nearLimit(waited, { ...unopened, now: now - 1000 })).toBeUndefined()
})
