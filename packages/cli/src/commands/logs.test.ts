import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SessionLog } from '@anteroom/contract'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { logs, logText } from './logs.ts'

// Two of them start a program each; a loaded host only takes longer.
vi.setConfig({ testTimeout: 30_000 })

const session = `ses_${'a'.repeat(24)}`
const machine = `vm_${'b'.repeat(24)}`

const found: SessionLog = {
  session_id: session,
  machine_ids: [machine],
  left_out: 0,
  lines: [
    {
      ...{ at: '2026-03-01T12:00:00.001Z', source: 'controller', level: 'info', message: 'answered' },
      fields: { request: 'req_1', status: 201 },
    },
    {
      ...{ at: '2026-03-01T12:00:01.000Z', source: 'controller', level: 'error', message: 'it stopped' },
      fields: { error: { type: 'AppError', message: 'it stopped', cause: { message: 'EPIPE' }, stack: 'long' } },
    },
    {
      ...{ at: '2026-03-01T12:00:02.000Z', source: 'agent', level: 'warn', message: 'slow' },
      fields: { said: 'one\ntwo' },
    },
  ],
  texts: [{ kind: 'console', file: '/kept/console.log', text: '\u001b[31mpanic\u001b[0m\r\nend\n' }],
}

test('lines are read from top to bottom, and what has no time of day comes below them', () => {
  expect(logText(found)).toBe(`${session}  ${machine}  2026-03-01

12:00:00.001 controller   answered request=req_1 status=201
12:00:01.000 controller ✗ it stopped error=it stopped ← EPIPE
12:00:02.000 agent      ! slow
      said=one
      two

console  /kept/console.log
  panic
  end`)
  expect(logText({ ...found, left_out: 3 })).toContain('[3 lines before these are not shown]')
})

test('without a session, or with nonsense, it says what to give', async () => {
  for (const words of [[], ['vm_1'], [session, session]])
    await expect(logs.run(words, { home: '/nowhere', json: false, flags: new Set() })).rejects.toThrow(
      /Name one session/,
    )
})

let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'anteroom-logs-'))
})
afterAll(() => rm(home, { recursive: true }))

test('where no controller runs, and even its database is gone, the files are read', async () => {
  const line = { level: 'info', time: '2026-03-01T12:00:00.000Z', session, machine, msg: 'a session has its machine' }
  await mkdir(join(home, 'logs/controller'), { recursive: true })
  await writeFile(join(home, 'logs/controller/2026-03-01.0001.jsonl'), `${JSON.stringify(line)}\n`)
  await mkdir(join(home, 'machines', machine), { recursive: true })
  await writeFile(join(home, 'machines', machine, 'console.log'), 'booting\n')
  const { text, exitCode } = await logs.run([session], { home, json: false, flags: new Set() })
  expect(exitCode).toBe(0)
  expect(text).toContain('12:00:00.000 controller   a session has its machine')
  const unknown = logs.run([`ses_${'c'.repeat(24)}`], { home, json: false, flags: new Set() })
  await expect(unknown).rejects.toMatchObject({ code: 'not_found' })
})
