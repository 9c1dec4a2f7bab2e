import { DatabaseSync } from 'node:sqlite'
import { Scope, silentLog } from '@anteroom/base'
import { defaultProjectId, sessionStatuses } from '@anteroom/contract'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { SessionWorld } from '../../test/session-world.ts'
import { createAccess } from '../access/access.ts'
import { configSchema } from '../config.ts'
import { createConnections } from '../connections/connections.ts'
import { createLive } from '../live/live.ts'
import type { Reach } from '../store/store.ts'

/** Tables that grow with every session there ever was. */
const growing = 'sessions|stages|events|connections|credentials|idempotency|tickets'

let world: SessionWorld
let asked: Set<string>
beforeEach(async () => {
  asked = new Set()
  const prepare = DatabaseSync.prototype.prepare
  vi.spyOn(DatabaseSync.prototype, 'prepare').mockImplementation(function (this: DatabaseSync, sql) {
    asked.add(sql)
    return prepare.call(this, sql)
  })
  world = await SessionWorld.open()
})
afterEach(async () => {
  vi.restoreAllMocks()
  await world.close()
})

/** What SQLite would read for each statement, without regard to what is in the tables now. */
function plans(): { sql: string; plan: string }[] {
  const database = new DatabaseSync(`${world.home}/store.sqlite`, { readOnly: true })
  try {
    // Those of migrations are of tables that are there no more.
    const statements = [...asked].filter((sql) => /^(select|insert|update|delete) /.test(sql) && !/ new_/.test(sql))
    return statements.map((sql) => {
      const rows = database.prepare(`explain query plan ${sql}`).all() as { detail: string }[]
      return { sql, plan: rows.map(({ detail }) => detail).join('; ') }
    })
  } finally {
    database.close()
  }
}

async function liveOne(): Promise<void> {
  const { store, clock, events, audit } = world.deps
  const id = await world.create()
  await world.reaches(id, 'ready')
  const live = createLive({
    ...{ store, clock, events, audit, log: silentLog, policy: configSchema.parse({}).live },
    publicUrl: () => 'http://127.0.0.1:4400',
  })
  const holder = { principal: 'key_a', cookie: 'c', key: null }
  const { ticket } = await live.issueTicket(id, { access: 'view', ttlSeconds: 60, holder })
  await live.redeemTicket(id, { ticket, cookies: ['c'], isReconnect: false })
  await live.redeemTicket(id, { ticket, cookies: ['c'], isReconnect: true })
  await live.revokeOfCookie('c')
  const access = createAccess({ store, clock, events, audit })
  const created = await world.sessions.create(
    { provider: 'idp', subject: 'you' },
    { principal: 'p', idempotencyKey: 'k' },
  )
  await access.enter(created.id, created.hosted_url.split('#entry=')[1] ?? '')
  for await (const _ of events.stream(created.id, 0, AbortSignal.timeout(50))) break
  await world.sessions.requestEnd(created.id, 'cancelled')
  await (await world.guestOf(id)).personSignsIn()
  await world.reaches(id, 'ended')
  await world.reaches(created.id, 'ended')
}

async function listAll(reach: Reach): Promise<void> {
  const connections = createConnections({ store: world.store, audit: world.deps.audit, vault: world.deps.vault }).of(
    reach,
  )
  const sessions = world.sessions.of(reach)
  const [{ next_cursor }, more] = [await sessions.list({ limit: 1 }), await connections.list({ limit: 1 })]
  const named = [{}, { provider: 'idp' }, { subject: 'me' }, { provider: 'idp', subject: 'me' }]
  const filters = [...named, ...named.map((filter) => ({ ...filter, project_id: defaultProjectId }))]
  for (const filter of filters) {
    await connections.list({ ...filter, limit: 50 })
    await connections.list({ ...filter, limit: 50, cursor: more.next_cursor ?? '' })
    for (const status of [undefined, ...sessionStatuses])
      for (const cursor of [undefined, next_cursor ?? ''])
        await sessions.list({ ...filter, ...(status && { status }), ...(cursor && { cursor }), limit: 50 })
  }
}

/** What is asked of one session and one connection. */
async function readOne(reach: Reach): Promise<void> {
  const { store, clock, events, audit, vault } = world.deps
  const of = { connections: createConnections({ store, audit, vault }).of(reach), sessions: world.sessions.of(reach) }
  const { id, connection_id } = await of.sessions.create({ provider: 'idp', subject: 'they' }, { principal: 'p' })
  const connection = await of.connections.get(connection_id ?? '')
  await vault
    .of(reach)
    .read(connection.id)
    .catch(() => {})
  await of.sessions.extend(id, { idle_only: false })
  await of.sessions.requestCapture(id).catch(() => {})
  await of.sessions.rfbEndpoint(id).catch(() => {})
  const live = createLive({
    ...{ store, clock, events, audit, log: silentLog, policy: configSchema.parse({}).live },
    publicUrl: () => 'http://127.0.0.1:4400',
  }).of(reach)
  const holder = { principal: 'p', cookie: null, key: null }
  await live.issueTicket(id, { access: 'view', ttlSeconds: 60, holder })
  await live.close(id, 'ticket_revoked')
  for await (const _ of await events.of(reach).stream(id, 0, AbortSignal.timeout(50))) break
  await of.sessions.diagnosis(id, Scope.root('a test'))
  await of.sessions.logs(id, Scope.root('a test'))
  await of.sessions.requestEnd(id, 'cancelled')
  await of.connections.remove(connection.id)
  await world.reaches(id, 'ended')
}

/** In the order of an index, and no further than the page is long. */
const isPage = (sql: string, scan: string): boolean => scan.includes(' USING INDEX ') && sql.includes(' limit ')

/** Which keys opened what is in the vault: along an index from end to end. */
const onceAtStart = 'select "wrapping_key_id" from "credentials" union'

function readsTooMuch({ sql, plan }: { readonly sql: string; readonly plan: string }): boolean {
  if (sql.startsWith(onceAtStart)) return !plan.includes('credentials USING COVERING INDEX')
  const scans = plan.match(new RegExp(`SCAN (${growing})\\b[^;]*`, 'g')) ?? []
  const ofFew = sql.includes("status <> 'ended'")
  return (
    (ofFew && !plan.includes('INDEX sessions_not_ended')) ||
    scans.some((scan) => !scan.includes('INDEX sessions_not_ended') && !isPage(sql, scan)) ||
    (plan.includes('TEMP B-TREE') && new RegExp(`(SCAN|SEARCH) (${growing})`).test(plan))
  )
}

test('no statement of a session, of a list or of the reconciler reads a table that grows from end to end', async () => {
  await liveOne()
  for (const reach of ['everything', { projectId: defaultProjectId }] as const) {
    await listAll(reach)
    await readOne(reach)
  }
  const asks = plans()
  expect(asks.length).toBeGreaterThan(120)
  expect(asks.filter(readsTooMuch)).toEqual([])
})
