import type { Clock } from '@anteroom/base'
import { beforeEach, expect, test } from 'vitest'
import { ProgressMeter } from './build-progress.ts'

let seconds = 0
const clock: Clock = { now: () => seconds * 1000, monotonic: () => seconds * 1000, delay: async () => {} }
beforeEach(() => {
  seconds = 0
})

test('the fraction grows with the time from 0 and the seconds left shrink', () => {
  const meter = new ProgressMeter(clock)
  meter.begin('Bundle the agent')
  const start = meter.now
  expect(start).toMatchObject({ number: 1, fraction: 0 })
  seconds = 1
  meter.begin('Install Debian packages')
  seconds = 20
  const later = meter.now
  expect(later.number).toBe(2)
  expect(later.fraction).toBeGreaterThan(0.1)
  expect(later.seconds_left).toBe(start.seconds_left - 20)
})

test('a step that takes longer than expected never reaches the end by itself', () => {
  const meter = new ProgressMeter(clock)
  meter.begin('Publish')
  seconds = 1000
  expect(meter.now.fraction).toBeLessThan(1)
  expect(meter.now.seconds_left).toBeGreaterThan(0)
})

test('the times of an earlier build on this host replace the typical ones', () => {
  const typical = new ProgressMeter(clock)
  const measured = new ProgressMeter(clock, [{ name: 'Install Debian packages', seconds: 500 }])
  for (const meter of [typical, measured]) meter.begin('Bundle the agent')
  expect(measured.now.seconds_left - typical.now.seconds_left).toBe(445)
})

test('the manifest gets each step with its seconds', () => {
  const meter = new ProgressMeter(clock)
  meter.begin('Bundle the agent')
  seconds = 1.24
  meter.begin('Install Debian packages')
  seconds = 61.24
  expect(meter.finish()).toEqual([
    { name: 'Bundle the agent', seconds: 1.2 },
    { name: 'Install Debian packages', seconds: 60 },
  ])
})
