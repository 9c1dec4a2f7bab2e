import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { acquireLock } from '@anteroom/base'
import type { DoctorReport, Session } from '@anteroom/contract'
import { expect, test } from 'vitest'
import { doctor, reportText } from './doctor.ts'
import { probeText } from './probe.ts'

const report: DoctorReport = {
  at: '2026-01-01T00:00:00.000Z',
  verdict: 'failed',
  checks: [
    { name: 'vmm', verdict: 'ok', found: 'QEMU 7.2\nof Debian', remedy: null, fixed: null, duration_ms: 1 },
    {
      name: 'vault_key',
      verdict: 'warning',
      found: 'nobody has copied it',
      remedy: 'Copy it.',
      fixed: null,
      duration_ms: 1,
    },
    { name: 'leftovers', verdict: 'ok', found: 'nothing', remedy: null, fixed: 'removed slot 3', duration_ms: 1 },
    { name: 'disk', verdict: 'failed', found: '10 MiB are free', remedy: 'Free some.', fixed: null, duration_ms: 1 },
  ],
}

test('a report is one line a check, and what to do below it', () => {
  expect(reportText(report)).toBe(`✓ vmm        QEMU 7.2
             of Debian
! vault key  nobody has copied it
             → Copy it.
✓ leftovers  nothing
             fixed: removed slot 3
✗ disk       10 MiB are free
             → Free some.

Something is wrong that must be repaired.`)
})

const session = {
  id: `ses_${'a'.repeat(24)}`,
  provider: 'demo-site',
  created_at: '2026-01-01T00:00:00.000Z',
  machine_origin: 'warm',
  stages: [{ name: 'open', started_at: '2026-01-01T00:00:00.400Z', duration_ms: 1 }],
  failure: { code: 'session_cancelled', stage: 'open' },
} as unknown as Session

test('a probe tells how long the screen took, or where to look', () => {
  expect(probeText({ outcome: 'ok', session, left: [] })).toBe(
    '✓ probe  a session with demo-site had its screen after 400 ms (warm), and nothing of it is left',
  )
  const failure = { code: 'vmm_exited', stage: 'machine' } as Session['failure']
  expect(probeText({ outcome: 'failed', session: { ...session, failure }, left: [] })).toBe(
    `✗ probe  ${session.id}: vmm_exited in stage machine\n         → npm run anteroom -- explain ${session.id}`,
  )
})

test('it takes no names', async () => {
  await expect(doctor.run(['x'], { home: '/nowhere', json: false, flags: new Set() })).rejects.toThrow(/no names/)
})

// A program of its own, which takes its time on a busy host.
test('it does not look into a state directory whose controller is just starting', { timeout: 60_000 }, async () => {
  const home = await mkdtemp(join(tmpdir(), 'anteroom-doctor-'))
  await mkdir(join(home, 'run'))
  const lock = acquireLock(join(home, 'run/lock'))
  try {
    await expect(doctor.run([], { home, json: false, flags: new Set() })).rejects.toMatchObject({
      code: 'controller_locked',
      detail: `pid ${process.pid} uses ${home}`,
    })
  } finally {
    if ('release' in lock) lock.release()
    await rm(home, { recursive: true })
  }
})
