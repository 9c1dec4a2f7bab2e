import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { silentLog, systemClock } from '@anteroom/base'
import type { AuditProblem } from '@anteroom/contract'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openStore, type Store } from '../store/store.ts'
import { type Audit, askedBy, createAudit } from './audit.ts'
import { hashOf } from './canonical.ts'
import { entryOf } from './entry.ts'

const target = { kind: 'session', id: `ses_${'a'.repeat(24)}` } as const
const key = Buffer.alloc(32, 1)

describe('the audit', () => {
  let directory: string
  let store: Store
  let audit: Audit
  const path = (): string => join(directory, 'anteroom.sqlite')
  const open = async (keyOf = () => key): Promise<void> => {
    store = await openStore(path())
    audit = createAudit({ store, clock: systemClock, log: silentLog, keyOf })
  }

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'anteroom-audit-'))
    await open()
  })
  afterEach(async () => {
    await store.close()
    await rm(directory, { recursive: true })
  })

  const write = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) await audit.recordAlone({ action: 'session.created', target, details: { n } })
  }
  const rows = () => store.db.selectFrom('audit').selectAll().orderBy('seq').execute()

  /** As somebody who has the file, and knows what stands in their way. */
  const tamper = (...statements: string[]): void => {
    const database = new DatabaseSync(path())
    try {
      for (const trigger of ['audit_is_final', 'audit_stays', 'audit_grows_at_its_end', 'audit_head_stays'])
        database.exec(`drop trigger if exists ${trigger}`)
      for (const statement of statements) database.exec(statement)
    } finally {
      database.close()
    }
  }

  describe('writes', () => {
    test('who asked, by which request, from where, and a chain', async () => {
      const asker = { actor: { kind: 'key', id: 'key_1' }, requestId: 'req_1', clientAddress: '192.0.2.7' } as const
      await askedBy(asker, () => store.transaction((tx) => audit.record(tx, { action: 'session.cancelled', target })))
      await audit.recordAlone({ action: 'session.ended', target, outcome: 'failed', details: { code: 'vmm_exited' } })
      const [first, second] = (await rows()).map(entryOf)
      expect(first).toMatchObject({
        ...{ seq: 1, actor: asker.actor, action: 'session.cancelled', target, outcome: 'done', details: {} },
        ...{ request_id: 'req_1', client_address: '192.0.2.7', previous_hash: '0'.repeat(64) },
      })
      expect(second).toMatchObject({
        ...{ seq: 2, actor: { kind: 'controller', id: null }, outcome: 'failed', details: { code: 'vmm_exited' } },
        ...{ request_id: null, client_address: null, previous_hash: first?.hash },
      })
      expect(await audit.verify()).toMatchObject({
        verdict: 'whole',
        entries: 2,
        head: { seq: 2 },
        head_is_genuine: true,
      })
    })

    test('nothing of a transaction that fails', async () => {
      await write(1)
      const failing = store.transaction(async (tx) => {
        await audit.record(tx, { action: 'session.cancelled', target })
        throw new Error('rolled back')
      })
      await expect(failing).rejects.toThrow('rolled back')
      await write(1)
      expect((await rows()).map(({ seq, action }) => [seq, action])).toEqual([
        [1, 'session.created'],
        [2, 'session.created'],
      ])
      expect(await audit.verify()).toMatchObject({ verdict: 'whole' })
    })

    test('what many do at the same time in one line', async () => {
      await Promise.all(
        Array.from({ length: 50 }, (_, n) =>
          askedBy({ actor: { kind: 'key', id: `key_${n}` }, requestId: `req_${n}`, clientAddress: null }, () =>
            write(2),
          ),
        ),
      )
      expect(await audit.verify()).toMatchObject({ verdict: 'whole', entries: 100 })
      for (const { actor_id, request_id } of await rows()) expect(actor_id?.slice(4)).toBe(request_id?.slice(4))
    })

    test('no more than it promises, in a form that has one way to be written', async () => {
      const details = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`d${n}`, `${'x'.repeat(300)}`]))
      await audit.recordAlone({ action: 'session.created', target, details: { half: '\ud800', ...details } })
      const [entry] = (await rows()).map(entryOf)
      expect(Object.keys(entry?.details ?? {})).toHaveLength(16)
      expect(entry?.details.half).toBe('\ufffd')
      expect(entry?.details.d0).toHaveLength(256)
      expect(await audit.verify()).toMatchObject({ verdict: 'whole' })
    })

    test('on where it was, with the same key', async () => {
      await write(2)
      await store.close()
      await open()
      await write(1)
      expect(await audit.verify()).toMatchObject({ verdict: 'whole', entries: 3 })
    })
  })

  test.each([
    'update audit set outcome = outcome where seq = 1',
    'delete from audit where seq = 2',
    'delete from audit',
    `insert into audit select 1, at, actor_kind, actor_id, action, target_kind, target_id, outcome, request_id, client_address, details, previous_hash, hash from audit where seq = 2`,
    `insert or replace into audit select * from audit where seq = 2`,
    'delete from audit_head',
  ])('the database refuses: %s', async (statement) => {
    await write(3)
    const database = new DatabaseSync(path())
    expect(() => database.exec(statement)).toThrow(/audit/)
    database.close()
    expect(await audit.verify()).toMatchObject({ verdict: 'whole', entries: 3 })
  })

  /** Everything from here on anew, as somebody would who knows how it is made but not the key. */
  const rechain = (from: number): void => {
    const database = new DatabaseSync(path())
    const all = database.prepare('select * from audit order by seq').all() as never[]
    let previous = ''
    for (const row of all.map(entryOf)) {
      const entry = row.seq < from ? row : { ...row, previous_hash: previous || row.previous_hash }
      const hash = row.seq < from ? row.hash : hashOf(entry)
      database
        .prepare('update audit set previous_hash = ?, hash = ? where seq = ?')
        .run(entry.previous_hash, hash, row.seq)
      previous = hash
    }
    database.exec('update audit_head set (seq, hash) = (select seq, hash from audit order by seq desc limit 1)')
    database.close()
  }

  const damages: readonly [string, AuditProblem, number, () => void][] = [
    ['changed', 'changed', 3, () => tamper(`update audit set actor_id = 'key_other' where seq = 3`)],
    ['changed in its details', 'changed', 4, () => tamper(`update audit set details = '{"n":9}' where seq = 4`)],
    ['changed in its time', 'changed', 4, () => tamper('update audit set at = at + 1 where seq = 4')],
    ['removed from the middle', 'missing', 3, () => tamper('delete from audit where seq = 3')],
    ['removed from the beginning', 'missing', 1, () => tamper('delete from audit where seq <= 2')],
    ['removed at the end', 'cut', 5, () => tamper('delete from audit where seq >= 5')],
    [
      'removed at the end, with the end named anew',
      'head_forged',
      4,
      () => {
        tamper(
          'delete from audit where seq >= 5',
          'update audit_head set (seq, hash) = (select seq, hash from audit where seq = 4)',
        )
      },
    ],
    [
      'removed together with the end',
      'head_missing',
      5,
      () => tamper('delete from audit where seq >= 6', 'delete from audit_head'),
    ],
    ['removed, all of them', 'cut', 1, () => tamper('delete from audit')],
    [
      'moved to another place',
      'changed',
      2,
      () => {
        tamper(
          'update audit set seq = 99 where seq = 2',
          'update audit set seq = 2 where seq = 3',
          'update audit set seq = 3 where seq = 99',
        )
      },
    ],
    [
      'inserted in the middle, those after it moved on',
      'changed',
      3,
      () => {
        tamper(
          'update audit set seq = -seq where seq >= 3',
          'update audit set seq = 1 - seq where seq < 0',
          `insert into audit select 3, at, actor_kind, 'key_forged', action, target_kind, target_id, outcome, request_id, client_address, details, previous_hash, hash from audit where seq = 2`,
        )
      },
    ],
    [
      'appended without the key',
      'unlinked',
      7,
      () => {
        tamper(
          `insert into audit select 7, at, actor_kind, 'key_forged', action, target_kind, target_id, outcome, request_id, client_address, details, hash, hash from audit where seq = 6`,
        )
        rechainOnly(7)
      },
    ],
    [
      'changed, and its own hash made anew',
      'unlinked',
      4,
      () => {
        tamper(`update audit set actor_id = 'key_other' where seq = 3`)
        rechainOnly(3)
      },
    ],
    [
      'changed, and the whole chain made anew',
      'head_forged',
      6,
      () => {
        tamper(`update audit set actor_id = 'key_other' where seq = 3`)
        rechain(3)
      },
    ],
  ]

  function rechainOnly(seq: number): void {
    const database = new DatabaseSync(path())
    const entry = entryOf(database.prepare('select * from audit where seq = ?').get(seq) as never)
    database.prepare('update audit set hash = ? where seq = ?').run(hashOf(entry), seq)
    database.close()
  }

  describe.each(damages)('an entry is %s', (_, problem, seq, damage) => {
    test('is found, and the first wrong entry is named', async () => {
      await write(6)
      damage()
      expect(await audit.verify()).toMatchObject({ verdict: 'damaged', first_wrong: { seq, problem } })
    })

    test('stays found when the controller goes on', async () => {
      await write(6)
      damage()
      await store.close()
      await open()
      await write(2)
      const after = await audit.verify()
      expect(after.verdict).toBe('damaged')
      // What the end of the chain gives away is an entry before the next one is chained to it.
      if (['cut', 'head_forged', 'head_missing'].includes(problem) || seq > 6)
        expect((await rows()).map(({ action }) => action)).toContain('audit.damaged')
    })
  })

  test('whoever writes without the right key is found', async () => {
    await write(2)
    await store.close()
    await open(() => Buffer.alloc(32, 2))
    expect(await audit.verify()).toMatchObject({ first_wrong: { problem: 'head_forged' }, head_is_genuine: false })
  })

  test('of whatever single change to whatever entry none stays unseen', async () => {
    await write(8)
    const columns = [
      'at',
      'actor_kind',
      'actor_id',
      'action',
      'target_kind',
      'target_id',
      'outcome',
      'request_id',
    ] as const
    const more = ['client_address', 'details', 'previous_hash', 'hash'] as const
    const before = await rows()
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...columns, ...more), fc.integer({ min: 1, max: 8 }), async (column, seq) => {
        const value = column === 'at' ? '1' : column === 'details' ? `'{}'` : `'x'`
        tamper(`update audit set ${column} = ${value} where seq = ${seq}`)
        expect(await audit.verify()).toMatchObject({ verdict: 'damaged', first_wrong: { seq } })
        const was = before.find((row) => row.seq === seq)?.[column] ?? null
        const database = new DatabaseSync(path())
        database.prepare(`update audit set ${column} = ? where seq = ?`).run(was, seq)
        database.close()
        expect(await audit.verify()).toMatchObject({ verdict: 'whole' })
      }),
      { numRuns: 60 },
    )
  })
})
