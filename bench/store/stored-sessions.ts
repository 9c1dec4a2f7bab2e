import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { newId, systemClock } from '@anteroom/base'
import { openStore } from '../../packages/controller/src/store/store.ts'
import { openVault } from '../../packages/controller/src/vault/vault.ts'
import { testAudit } from '../../packages/controller/test/test-audit.ts'

/** What the requests of the suite ask for. */
export interface StoredSessions {
  /** Some of the sessions, spread over all of them. */
  readonly ids: readonly string[]
  /** With the average number of sessions. */
  readonly provider: string
  readonly subject: string
  /** The session in the middle of the list. */
  readonly middle: { readonly id: string; readonly createdAt: number }
}

export const files = (home: string) => ({ database: join(home, 'store.sqlite'), vaultKey: join(home, 'vault.key') })

const providers = ['idp', 'site', 'mail', 'calendar', 'files']
/** A year of sessions, the last one just now. */
const yearMs = 365 * 24 * 3_600_000
const definition = JSON.stringify({
  ...{ kind: 'oauth2', name: 'idp', title: 'Identity', issuer: 'https://idp.example.com', client_id: 'client' },
  ...{ scopes: ['openid', 'profile', 'offline_access'], egress: { allow: ['idp.example.com', '*.cdn.example.com'] } },
  capture: { tokens: true },
})
const summary = JSON.stringify({
  ...{ kind: 'oauth2', tokens: ['access_token', 'refresh_token'], scopes: ['openid', 'profile'], cookies: 0 },
  ...{ origins: [], local_storage: 0, session_storage: 0, indexed_db: 0 },
})
const failure = JSON.stringify({
  ...{ code: 'agent_unreachable', stage: 'boot', message: 'The browser did not start.', hint: 'Look at the console.' },
  detail: 'fetch failed: connect ETIMEDOUT',
})

/**
 * Stages and events as `lifecycle.ts` writes them, with the milliseconds since the session was created. Of ten sessions seven
 * complete, one fails, one expires, one is cancelled.
 */
const whole = [
  ...['queue 0', 'network 40', 'machine 90', 'boot 200', 'claim 22000', 'screen 22050', 'open 24000', 'sign_in 24100'],
  ...['capture 70000', 'store 70400', 'teardown 70600'],
]
const stagesOf: Readonly<Record<string, readonly string[]>> = {
  completed: whole,
  failed: [...whole.slice(0, 4), 'teardown 60000'],
  expired: [...whole.slice(0, 8), 'teardown 900000'],
  cancelled: [...whole.slice(0, 8), 'teardown 40000'],
}
const statusOf: Readonly<Record<string, string>> = {
  ...{ network: 'starting', boot: 'vm_created', open: 'ready', capture: 'capturing', teardown: 'ending' },
}

/**
 * Makes the database of a controller that has had `count` sessions, through the real schema with all its indexes and checks. The
 * rows are made inside SQLite, a table at a time: ten million of them through Node would take an hour.
 */
export async function storeSessions(home: string, count: number): Promise<StoredSessions> {
  const wrappingKeyId = await prepare(home)
  const db = new DatabaseSync(files(home).database)
  try {
    db.exec('pragma synchronous = off; pragma cache_size = -1500000; pragma temp_store = memory')
    db.function('new_id', (kind) => newId(kind as 'session'))
    db.exec('begin')
    const now = Date.now()
    insertSessions(db, count, now)
    insertStory(db)
    insertConnections(db, wrappingKeyId)
    insertIdempotency(db, count, now)
    db.exec('commit; pragma wal_checkpoint(truncate)')
    return sample(db, count)
  } finally {
    db.close()
  }
}

/** The vault refuses a database with credentials under a key that it does not have: learns the id of its key. */
async function prepare(home: string): Promise<string> {
  const { database, vaultKey } = files(home)
  const store = await openStore(database)
  try {
    const vault = await openVault({ keyFile: vaultKey, store, clock: systemClock, audit: testAudit({ store }) })
    await vault.sealingKey(newId('session'))
    const { wrapping_key_id } = await store.db.selectFrom('sealing_keys').selectAll().executeTakeFirstOrThrow()
    await store.db.deleteFrom('sealing_keys').execute()
    return wrapping_key_id
  } finally {
    await store.close()
  }
}

function insertSessions(db: DatabaseSync, count: number, now: number): void {
  const providerOf = `case n % 10 ${providers
    .slice(1)
    .map((name, index) => `when ${index} then '${name}'`)
    .join(' ')} else 'idp' end`
  const outcomeOf = `case n % 10 when 7 then 'failed' when 8 then 'expired' when 9 then 'cancelled' else 'completed' end`
  db.prepare(`
    with recursive numbers (n) as (select 0 union all select n + 1 from numbers where n + 1 < :count),
    facts as materialized (
      select n, ${providerOf} as provider, 'user-' || (n * 7919 % (cast(:count as integer) / 3 + 1)) as subject, ${outcomeOf} as outcome,
        :now - :year + cast((n + 1) * 1.0 * :year / :count as integer) - 3600000 as created_at
      from numbers)
    insert into sessions (id, version, status, outcome, provider, provider_definition, subject, return_url, browser_vm_id, vm_ip,
      vnc_url, image_id, failure, captured, entry_hash, entered_at, created_at, expires_at, ended_at)
    select new_id('session'), 7, 'ended', outcome, provider, :definition, subject, 'https://app.example.com/connected',
      new_id('machine'), '10.213.0.2', 'vnc://10.213.0.2:5900', 'img_000000000000000000000001',
      iif(outcome = 'failed', :failure, null), iif(outcome = 'completed', :summary, null), lower(hex(randomblob(32))),
      created_at + 9000, created_at, created_at + 900000, created_at + 71500
    from facts`).run({ count, now, year: yearMs, definition, failure, summary } as Record<string, string | number>)
}

/** Stages, and the events that go with them, in the order in which they happened. */
function insertStory(db: DatabaseSync): void {
  db.exec('create temp table told (outcome text, place integer, stage text, type text, at integer, data text)')
  const tell = db.prepare('insert into told values (?, ?, ?, ?, ?, ?)')
  for (const [outcome, stages] of Object.entries(stagesOf)) {
    tell.run(outcome, 0, null, 'created', 0, '{"provider":"idp","subject":"user-1"}')
    tell.run(outcome, 3, null, 'entered', 9000, '{}')
    for (const [index, [name = '', at = '']] of stages.map((stage) => stage.split(' ')).entries()) {
      tell.run(outcome, index + 1, name, 'stage', Number(at), JSON.stringify({ name }))
      const status = statusOf[name]
      if (status !== undefined) tell.run(outcome, index + 1, null, 'status', Number(at), JSON.stringify({ status }))
    }
    tell.run(outcome, 20, null, 'status', 71500, JSON.stringify({ status: 'ended', outcome }))
  }
  db.exec(`
    insert into stages (session_id, name, started_at, ended_at)
    select id, stage, created_at + at, created_at + at + 100
    from sessions cross join told using (outcome) where stage is not null order by sessions.rowid, place;
    insert into events (session_id, type, at, data)
    select id, type, created_at + at, data
    from sessions cross join told using (outcome) order by sessions.rowid, place, type desc;
    drop table told`)
}

function insertConnections(db: DatabaseSync, wrappingKeyId: string): void {
  db.exec(`
    insert into connections (id, project_id, provider, subject, version, captured, last_session_id, created_at, updated_at)
    select new_id('connection'), project_id, provider, subject, max(outcome = 'completed'), max(captured), max(id), min(created_at), max(created_at)
    from sessions group by project_id, provider, subject`)
  db.prepare(`
    insert into credentials (id, connection_id, version, session_id, ciphertext, wrapped_key, wrapping_key_id, captured_at)
    select new_id('credential'), id, 1, last_session_id, hex(randomblob(600)), hex(randomblob(40)), ?, updated_at
    from connections where version > 0`).run(wrappingKeyId)
}

/** Of the last day, as many as a busy day has. */
function insertIdempotency(db: DatabaseSync, count: number, now: number): void {
  db.prepare(`
    insert into idempotency (principal, key, request_hash, session_id, created_at)
    select 'key_of_somebody', lower(hex(randomblob(16))), lower(hex(randomblob(32))), id, ? - rowid
    from sessions order by created_at desc limit ?`).run(now, Math.ceil(count / 50))
}

function sample(db: DatabaseSync, count: number): StoredSessions {
  const one = <T>(sql: string, ...values: (string | number)[]): T => db.prepare(sql).get(...values) as T
  const at = (share: number) =>
    one<{ id: string; created_at: number; subject: string }>(
      'select id, created_at, subject from sessions where rowid = ?',
      1 + Math.floor(share * (count - 1)),
    )
  const middle = at(0.5)
  const size = Math.min(count, 1000)
  const ids = Array.from({ length: size }, (_, index) => at(index / size).id)
  return {
    ids: [...new Set(ids)],
    provider: 'site',
    subject: at(0.3).subject,
    middle: { id: middle.id, createdAt: middle.created_at },
  }
}
