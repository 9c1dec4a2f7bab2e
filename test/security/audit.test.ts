import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import type { AuditVerification } from '@anteroom/contract'
import { afterAll, beforeAll } from 'vitest'
import { audit as auditCommand } from '../../packages/cli/src/commands/audit.ts'
import { startEdge } from '../../packages/controller/src/http/test/running-edge.ts'
import { attemptTable, type Tally } from './harness/attempts.ts'
import { AuditedHome, forgedLine, rechain } from './harness/audit-forgery.ts'

const count = 24
let audited: AuditedHome
beforeAll(async () => {
  audited = await AuditedHome.make(count)
  // Not an error of this test: what nobody has touched must be whole, or all that is found would be worth nothing.
  for (const whole of [
    await audited.verifyForged(() => {}),
    await audited.verifyLines(audited.lines, [audited.checkpoint]),
  ])
    if (whole.verdict !== 'whole' || whole.entries !== count) throw new Error(`untouched: ${JSON.stringify(whole)}`)
})
afterAll(() => audited.remove())

/** Unseen is what succeeds. */
const seen = ({ verdict, first_wrong }: AuditVerification, seq?: number): string | undefined => {
  if (verdict === 'whole') return 'not seen'
  return seq === undefined || first_wrong?.seq === seq ? undefined : `named entry ${first_wrong?.seq} instead of ${seq}`
}

const inDatabase =
  (tally: Tally) =>
  (variant: string, forge: (database: DatabaseSync) => void, seq?: number): Promise<void> =>
    tally.try(variant, async () => seen(await audited.verifyForged(forge), seq))

const columns = ['at', 'actor_kind', 'actor_id', 'action', 'target_kind', 'target_id', 'outcome', 'request_id'] as const
const furtherColumns = ['client_address', 'details', 'previous_hash', 'hash'] as const
const insertCopy = (database: DatabaseSync, of: number, as: number): void => {
  const values = `at, actor_kind, 'key_forged', action, target_kind, target_id, outcome, request_id, client_address, details, previous_hash, hash`
  database.exec(`insert into audit select ${as}, ${values} from audit where seq = ${of}`)
}
const swap = (database: DatabaseSync, a: number, b: number): void =>
  database.exec(
    `update audit set seq = 0 where seq = ${a}; update audit set seq = ${a} where seq = ${b}; update audit set seq = ${b} where seq = 0`,
  )
const headAtLast = (database: DatabaseSync): void =>
  database.exec('update audit_head set (seq, hash) = (select seq, hash from audit order by seq desc limit 1)')

attemptTable('audit', [
  {
    id: 'A8',
    attempt: 'an entry of the audit is changed in the database, in any field, at any place',
    refusal: 'verification names the entry: `changed`',
    async run(tally) {
      const attempt = inDatabase(tally)
      for (const column of [...columns, ...furtherColumns]) {
        const value = column === 'at' ? 'at + 1' : column === 'details' ? `'{"version":99}'` : `'forged'`
        for (const seq of [1, 11, count])
          await attempt(column, (db) => db.exec(`update audit set ${column} = ${value} where seq = ${seq}`), seq)
      }
    },
  },
  {
    id: 'A8',
    attempt: 'entries of the audit are removed: one anywhere, several, from the beginning, from the end, all of them',
    refusal: 'verification names the first that is missing: `missing`, `cut`',
    async run(tally) {
      const attempt = inDatabase(tally)
      for (let seq = 1; seq <= count; seq++)
        await attempt(
          seq === count ? 'the newest' : 'one',
          (db) => db.exec(`delete from audit where seq = ${seq}`),
          seq,
        )
      await attempt('several', (db) => db.exec('delete from audit where seq between 5 and 9'), 5)
      for (let seq = 2; seq <= count; seq += 5)
        await attempt('the end', (db) => db.exec(`delete from audit where seq >= ${seq}`), seq)
      await attempt('all', (db) => db.exec('delete from audit'), 1)
      await attempt('the end and what says where it is', (db) => {
        db.exec('delete from audit where seq > 9; delete from audit_head')
      })
    },
  },
  {
    id: 'A8',
    attempt: 'entries of the audit change places, or one is put between them or behind them',
    refusal: 'verification names the first that is not in its place',
    async run(tally) {
      const attempt = inDatabase(tally)
      for (const [a, b] of [
        [1, 2],
        [3, 9],
        [count - 1, count],
      ] as const) {
        await attempt('swapped', (db) => swap(db, a, b), a)
        await attempt('swapped, their own hashes made anew', (db) => {
          swap(db, a, b)
          rechain(db, a)
        })
      }
      await attempt(
        'between',
        (db) => {
          db.exec('update audit set seq = -seq where seq > 5; update audit set seq = 1 - seq where seq < 0')
          insertCopy(db, 5, 6)
        },
        6,
      )
      await attempt('behind', (db) => insertCopy(db, count, count + 1))
      await attempt('behind, with a hash of its own', (db) => {
        insertCopy(db, count, count + 1)
        rechain(db, count + 1)
      })
      await attempt('behind, and named as the end', (db) => {
        insertCopy(db, count, count + 1)
        rechain(db, count + 1)
        headAtLast(db)
      })
    },
  },
  {
    id: 'A8',
    attempt:
      'whoever has the database, and not the key of the vault, makes the whole chain anew after a change or a cut',
    refusal: 'its end cannot be signed: `head_forged`, `head_missing`, `unlinked`',
    async run(tally) {
      const attempt = inDatabase(tally)
      for (let seq = 1; seq <= count; seq += 4) {
        const change = `update audit set actor_id = 'key_other' where seq = ${seq}`
        const forge = (after: (db: DatabaseSync) => void) => (db: DatabaseSync) => {
          db.exec(change)
          rechain(db, seq)
          after(db)
        }
        await attempt(
          'the end as it was',
          forge(() => {}),
        )
        await attempt('the end named anew', forge(headAtLast))
        await attempt(
          'the end removed',
          forge((db) => db.exec('delete from audit_head')),
        )
        await attempt('cut, and the end named anew', (db) => {
          if (seq > 1) db.exec(`delete from audit where seq >= ${seq}`)
          else db.exec('delete from audit where seq > 1')
          headAtLast(db)
        })
      }
    },
  },
  {
    id: 'A8',
    attempt:
      'whoever has the key of the vault too makes the chain anew and signs it, or an older copy is put back; a checkpoint was kept elsewhere',
    refusal: 'the chain is not the one that the checkpoint knows: `rewritten`, `cut`',
    async run(tally) {
      const kept = [audited.checkpoint]
      const attempt = (variant: string, forge: (database: DatabaseSync) => void) =>
        tally.try(variant, async () => seen(await audited.verifyForged(forge, kept)))
      for (let seq = 1; seq <= count; seq += 4) {
        await attempt('changed and signed', (db) => {
          db.exec(`update audit set actor_id = 'key_other' where seq = ${seq}`)
          rechain(db, seq)
          audited.signedHead(db)
        })
        if (seq > 1)
          await attempt('an older copy', (db) => {
            db.exec(`delete from audit where seq >= ${seq}`)
            audited.signedHead(db)
          })
      }
    },
  },
  {
    id: 'A8',
    attempt:
      'an export of the audit is changed: a field, a line left out, moved, added or cut off, its last line replaced',
    refusal: 'verification of the file names the first wrong entry',
    async run(tally) {
      const { lines } = audited
      const attempt = (variant: string, forged: readonly string[]) =>
        tally.try(variant, async () => seen(await audited.verifyLines(forged)))
      for (let n = 0; n < count; n++) {
        const line = lines[n] ?? ''
        await attempt('a field', lines.with(n, line.replace('192.0.2.1', '192.0.2.2')))
        await attempt(
          'a field, and its hash made anew',
          lines.with(n, forgedLine(line, { client_address: '192.0.2.2' })),
        )
        await attempt('a field added', lines.with(n, line.replace('{', '{"note":"forged",')))
        // Without its first lines a file is the export of what came after; it says with which entry it begins.
        if (n > 0) await attempt('a line left out', lines.toSpliced(n, 1))
        if (n > 0) await attempt('moved', lines.toSpliced(n, 1).toSpliced(n - 1, 0, line))
        await attempt('twice', lines.toSpliced(n, 0, line))
        if (n > 0) await attempt('cut off', lines.slice(0, n))
        if (n > 0) await attempt('cut off, the last line kept', [...lines.slice(0, n), lines.at(-1) ?? ''])
        await attempt('half a line', lines.with(n, line.slice(0, -20)))
      }
    },
  },
  {
    id: 'A8',
    attempt: 'a credential is read while its reading cannot be written down',
    refusal: '500 or 503, and no credential',
    async run(tally) {
      const edge = await startEdge()
      try {
        const session = await edge.newSession()
        await edge.fillVault(session, 'canary-token')
        const attempt = (variant: string, break_: string, mend: string) =>
          tally.try(variant, async () => {
            await edge.raw(break_)
            const answer = await edge.call('GET', `/v1/connections/${session.connection_id}/credential`)
            const text = await answer.text()
            await edge.raw(mend)
            return answer.ok || text.includes('canary-token') ? `answered ${answer.status}` : undefined
          })
        await attempt('no table', 'alter table audit rename to gone', 'alter table gone rename to audit')
        await attempt('no end', 'alter table audit_head rename to gone', 'alter table gone rename to audit_head')
        const full = `create trigger full before insert on audit begin select raise(abort, 'full'); end`
        await attempt('no room', full, 'drop trigger full')
        await attempt(
          'no room for the end',
          full.replace('insert on audit', 'update on audit_head'),
          'drop trigger full',
        )
      } finally {
        await edge.stop()
      }
    },
  },
  {
    id: 'A8',
    attempt: 'the program that an operator runs is given a forged export, and a forged state directory',
    refusal: 'exit code 1, and words that name the first wrong entry',
    async run(tally) {
      const directory = await mkdtemp(join(tmpdir(), 'anteroom-forged-export-'))
      const verify = (words: readonly string[], values: Record<string, string> = {}) =>
        auditCommand.run(['verify', ...words], { home: audited.home, json: false, flags: new Set(), values })
      const file = async (name: string, lines: readonly string[]): Promise<string> => {
        await writeFile(join(directory, name), `${lines.join('\n')}\n`)
        return join(directory, name)
      }
      try {
        const { lines, checkpoint } = audited
        const forged = await file('cut-off', lines.slice(0, 10))
        const place = `${checkpoint.seq + 3}:${checkpoint.hash}`
        await tally.try('cut off', async () => {
          const { exitCode, text } = await verify([forged])
          return exitCode === 1 && text.includes('entry is 10') ? undefined : `exit code ${exitCode}: ${text}`
        })
        await tally.try('another checkpoint', async () => {
          const { exitCode, text } = await verify([], { checkpoint: place })
          return exitCode === 1 && text.includes(`entry is ${count + 1}`) ? undefined : `exit code ${exitCode}: ${text}`
        })
        await tally.try('by its exit code', async () => {
          const cli = join(import.meta.dirname, '../../packages/cli/src/main.ts')
          const code = await promisify(execFile)(process.execPath, [cli, 'audit', 'verify', forged]).then(
            () => 0,
            (error: { code: number }) => error.code,
          )
          return code === 1 ? undefined : `exit code ${code}`
        })
      } finally {
        await rm(directory, { recursive: true })
      }
    },
  },
])
