import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Log, Scope, silentLog } from '@anteroom/base'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { testAudit } from '../../test/test-audit.ts'
import { ManualClock } from '../live/live.fixture.ts'
import { openStore, type Store } from '../store/store.ts'
import type { Audit } from './audit.ts'

const target = { kind: 'host', id: null } as const
let directory: string
let store: Store
let audit: Audit
let said: { level: string; fields: Record<string, unknown>; message: string }[]
const say =
  (level: string) =>
  (fields: object, message: string): void =>
    void said.push({ level, fields: { ...fields }, message })
const log: Log = { ...silentLog, info: say('info'), warn: say('warn'), error: say('error'), child: () => log }

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anteroom-checkpoints-'))
  store = await openStore(join(directory, 'anteroom.sqlite'))
  audit = testAudit({ store, log })
  said = []
})
afterEach(async () => {
  await store.close()
  await rm(directory, { recursive: true })
})

const write = () => audit.recordAlone({ action: 'host.repaired', target })

test('where the chain ends is said when that is news, with all that verification asks for', async () => {
  await audit.sayCheckpoint(log)
  expect(said).toEqual([])
  await write()
  await audit.sayCheckpoint(log)
  await audit.sayCheckpoint(log)
  expect(said).toMatchObject([{ level: 'info', message: 'audit checkpoint', fields: { seq: 1 } }])
  const { seq, hash } = (await audit.checkpoint()) ?? { seq: 0, hash: '' }
  expect(said[0]?.fields).toMatchObject({ seq, hash })
  await write()
  expect(await audit.verify({ kept: [{ seq, hash }] })).toMatchObject({ verdict: 'whole', entries: 2 })
})

test('every ten minutes, until it is over', async () => {
  const clock = new ManualClock()
  const scope = Scope.root('test', log, clock)
  await write()
  const running = audit.run(scope)
  await expect.poll(() => said.length).toBe(1)
  await write()
  await clock.pass(600_000)
  await expect.poll(() => said.map(({ fields }) => fields.seq)).toEqual([1, 2])
  scope.cancel()
  await clock.pass(1)
  await running
})

test('an older copy that is put back under a controller that runs is told, and written down', async () => {
  await write()
  const before = await audit.checkpoint()
  await write()
  await audit.sayCheckpoint(log)
  const database = new DatabaseSync(join(directory, 'anteroom.sqlite'))
  database.exec('drop trigger audit_stays')
  database.exec('delete from audit where seq = 2')
  // As it was: genuine, and older.
  database.prepare('update audit_head set seq = ?, hash = ?, mac = ?').run(1, before?.hash ?? '', before?.mac ?? '')
  database.close()
  expect(await audit.verify()).toMatchObject({ verdict: 'whole', entries: 1 })
  await audit.sayCheckpoint(log)
  expect(said.at(-1)).toMatchObject({ level: 'error', fields: { seq: 2 } })
  expect(await audit.verify()).toMatchObject({ verdict: 'damaged', first_wrong: { seq: 2, problem: 'noted' } })
})
