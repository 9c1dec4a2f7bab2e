import type { SessionEvent } from '@anteroom/contract'
import { expect, test } from 'vitest'
import type { LogRecord } from '../observe/observe.ts'
import { gatherSessionLog } from './session-log.ts'

const session = `ses_${'a'.repeat(24)}`
const machine = `vm_${'b'.repeat(24)}`
const at = (ms: number): string => new Date(Date.parse('2026-03-01T12:00:00Z') + ms).toISOString()

const records: LogRecord[] = [
  { time: at(1), level: 'info', msg: 'answered', session, request: 'req_1' },
  { time: at(4), level: 'info', msg: 'a session has its machine', session, machine },
  { time: at(6), level: 'info', msg: 'machine asked for a host', machine, host: 'idp.example.com' },
]
const events: SessionEvent[] = [{ seq: 1, session_id: session, type: 'status', at: at(2), data: { status: 'queued' } }]
const agent = [
  JSON.stringify({ at: at(5), level: 'warn', message: 'browser is slow', ms: 7 }),
  'not of the agent',
  '',
].join('\n')

test('everything about a session by time: controller, events, agent; and of its machine also what does not name the session', async () => {
  const log = await gatherSessionLog({
    ...{ sessionId: session, events },
    recordsOf: async (ids) => records.filter((one) => ids.has(one.session ?? '') || ids.has(one.machine ?? '')),
    evidenceOf: async () => ({ texts: { agent, console: 'panic\n', vmm: '\n' }, fileOf: (kind) => `/kept/${kind}` }),
  })
  expect(log.machine_ids).toEqual([machine])
  expect(log.lines.map(({ at: when, source, message }) => [when, source, message])).toEqual([
    [at(1), 'controller', 'answered'],
    [at(2), 'event', 'status'],
    [at(4), 'controller', 'a session has its machine'],
    [at(5), 'agent', 'browser is slow'],
    [at(6), 'controller', 'machine asked for a host'],
  ])
  expect(log.lines[0]?.fields).toEqual({ request: 'req_1' })
  expect(log.lines[3]).toMatchObject({ level: 'warn', fields: { ms: 7 } })
  expect(log.texts).toEqual([{ kind: 'console', file: '/kept/console', text: 'panic\n' }])
})

test('of too many lines the last are given, and how many are not', async () => {
  const many = Array.from(
    { length: 20_010 },
    (_, n): LogRecord => ({ time: at(n), level: 'debug', msg: `${n}`, session }),
  )
  const log = await gatherSessionLog({
    ...{ sessionId: session, events: [], recordsOf: async () => many },
    evidenceOf: async () => ({ texts: {}, fileOf: () => null }),
  })
  expect([log.lines.length, log.left_out, log.lines[0]?.message]).toEqual([20_000, 10, '10'])
})
