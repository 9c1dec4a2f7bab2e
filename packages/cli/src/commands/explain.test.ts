import type { Diagnosis } from '@anteroom/contract'
import { expect, test } from 'vitest'
import { explain, explanation } from './explain.ts'

const nowhere = { home: '/nowhere', json: false, flags: new Set<string>() }
const id = (letter: string): string => `ses_${letter.repeat(24)}`

const found: Diagnosis = {
  session_id: id('a'),
  status: 'ended',
  outcome: 'failed',
  summary: 'It failed in stage sign_in after 2 min 4 s: Machine stopped unexpectedly (vmm_exited).',
  code: 'vmm_exited',
  detail: 'monitor:\nterminating on signal 9',
  machine: { id: `vm_${'b'.repeat(24)}`, vm_ip: '10.213.0.2', image_id: `img_${'0'.repeat(24)}`, origin: 'warm' },
  stages: [
    { name: 'queue', started_at: '2026-01-01T00:00:00Z', duration_ms: 19, state: 'done', usual_ms: null },
    { name: 'boot', started_at: '2026-01-01T00:00:01Z', duration_ms: 61_000, state: 'done', usual_ms: 11_000 },
    { name: 'sign_in', started_at: '2026-01-01T00:01:02Z', duration_ms: 62_000, state: 'ended_here', usual_ms: null },
  ],
  evidence: [{ kind: 'vmm', file: '/home/evidence/vmm.log', lines: ['terminating on signal 9'] }],
  advice: ['Read the evidence.', 'Stage boot took 1 min 1 s; 11 s is usual.'],
  similar: { hours: 24, ended: 9, same_code: 2, session_ids: [id('c')] },
}

test('an explanation is read from top to bottom', () => {
  expect(explanation(found)).toBe(`${id('a')}  ended · failed · vmm_exited

It failed in stage sign_in after 2 min 4 s: Machine stopped unexpectedly (vmm_exited).

  machine  vm_${'b'.repeat(24)} at 10.213.0.2, warm
  image    img_${'0'.repeat(24)}
  detail   monitor:
           terminating on signal 9

Stages
  queue    19 ms
  boot     1 min 1 s  usually 11 s
  sign_in  1 min 2 s  ended here

Evidence
  vmm  /home/evidence/vmm.log
    terminating on signal 9

What to do
  1. Read the evidence.
  2. Stage boot took 1 min 1 s; 11 s is usual.

Others
  2 of 9 sessions of the last 24 hours ended with vmm_exited:
    ${id('c')}

All that was written about it: npm run anteroom -- logs ${id('a')}`)
})

test('of a session that completed: no more than there is to say', () => {
  const text = explanation({
    ...found,
    ...{ outcome: 'completed', code: null, detail: null, machine: null, stages: [], evidence: [], advice: [] },
    summary: 'It completed after 30 s; the vault has confirmed the credential.',
  })
  expect(text).toBe(`${id('a')}  ended · completed\n\nIt completed after 30 s; the vault has confirmed the credential.`)
})

test('without a session, or with nonsense, it says what to give', async () => {
  for (const words of [[], ['vm_1'], [id('a'), id('b')]])
    await expect(explain.run(words, nowhere)).rejects.toThrow(/Name one session/)
})

test('without a controller it says so', async () => {
  await expect(explain.run([id('a')], nowhere)).rejects.toMatchObject({
    code: 'controller_unreachable',
  })
})
