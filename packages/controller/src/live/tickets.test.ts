import { createHash } from 'node:crypto'
import { type Clock, silentLog, systemClock } from '@anteroom/base'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { testAudit } from '../../test/test-audit.ts'
import { configSchema } from '../config.ts'
import { createEvents } from '../events/events.ts'
import { openStore } from '../store/store.ts'
import { createLive, type TicketOrder, type TicketUse } from './live.ts'

const sessionId = `ses_${'a'.repeat(24)}`
const otherId = `ses_${'b'.repeat(24)}`
const byKey = { principal: 'key_a', cookie: null, key: { id: 'key_a', hash: 'h' } }
const byCookie = { principal: `visitor ${sessionId}`, cookie: 'c'.repeat(64), key: null }

async function setUp() {
  const store = await openStore(':memory:')
  let now = 1_800_000_000_000
  const clock: Clock = { ...systemClock, now: () => now }
  const live = createLive({
    ...{ store, clock, log: silentLog, policy: { ...configSchema.parse({}).live, max_viewers: 2 } },
    events: createEvents({ store, clock }),
    audit: testAudit({ store, clock }),
    publicUrl: () => 'https://anteroom.example/',
  })
  const issue = (order: Partial<TicketOrder> = {}, id = sessionId) =>
    live.issueTicket(id, { access: 'control', ttlSeconds: 30, holder: byKey, ...order })
  const redeem = (ticket: string, use: Partial<TicketUse> = {}, id = sessionId) =>
    live.redeemTicket(id, { ticket, cookies: [], isReconnect: false, ...use })
  const passMs = (ms: number): void => {
    now += ms
  }
  return { store, live, issue, redeem, passMs }
}

const refused = { code: 'ticket_invalid' }

describe('tickets', () => {
  test('open the live view of their session once, with the access they were issued for', async () => {
    const { issue, redeem } = await setUp()
    const issued = await issue({ access: 'view' })
    expect(issued).toMatchObject({ access: 'view', expires_at: new Date(1_800_000_030_000).toISOString() })
    expect(issued.url).toBe(`wss://anteroom.example/v1/sessions/${sessionId}/live?ticket=${issued.ticket}`)
    await expect(redeem(issued.ticket)).resolves.toMatchObject({ sessionId, access: 'view', holder: byKey })
    await expect(redeem(issued.ticket)).rejects.toMatchObject(refused)
  })

  test('of many redemptions at the same time exactly one succeeds', async () => {
    const { issue, redeem } = await setUp()
    const { ticket } = await issue()
    const all = await Promise.allSettled(Array.from({ length: 20 }, () => redeem(ticket)))
    expect(all.filter((one) => one.status === 'fulfilled')).toHaveLength(1)
  })

  test.each(['late', 'revoked', 'of another session', 'guessed'])('%s: refused', async (how) => {
    const { live, issue, redeem, passMs } = await setUp()
    const { ticket } = await issue()
    if (how === 'late') passMs(30_000)
    if (how === 'revoked') await live.close(sessionId, 'ticket_revoked')
    const id = how === 'of another session' ? otherId : sessionId
    const presented = how === 'guessed' ? `${ticket.slice(0, -1)}_` : ticket
    await expect(redeem(presented, {}, id)).rejects.toMatchObject(refused)
  })

  test('a refusal for another session does not use the ticket up, and revoking one session leaves the others', async () => {
    const { live, issue, redeem } = await setUp()
    const { ticket } = await issue()
    await expect(redeem(ticket, {}, otherId)).rejects.toMatchObject(refused)
    await live.close(otherId, 'session_ended')
    await expect(redeem(ticket)).resolves.toMatchObject({ access: 'control' })
  })

  test('asked for with a cookie, it is worth nothing without that cookie, and is not used up by whoever tries', async () => {
    const { issue, redeem } = await setUp()
    const { ticket } = await issue({ holder: byCookie })
    for (const cookies of [[], ['d'.repeat(64)]])
      await expect(redeem(ticket, { cookies })).rejects.toMatchObject(refused)
    const cookies = ['d'.repeat(64), byCookie.cookie]
    await expect(redeem(ticket, { cookies })).resolves.toMatchObject({ holder: byCookie })
    await expect(redeem(ticket, { cookies })).rejects.toMatchObject(refused)
  })

  test('opens the view again for its cookie alone, after its time too, but not before the first time and not once revoked', async () => {
    const { live, issue, redeem, passMs } = await setUp()
    const again = { cookies: [byCookie.cookie], isReconnect: true }
    const { ticket } = await issue({ holder: byCookie })
    await expect(redeem(ticket, again)).rejects.toMatchObject(refused)
    await redeem(ticket, { cookies: [byCookie.cookie] })
    passMs(600_000)
    await expect(redeem(ticket, { isReconnect: true })).rejects.toMatchObject(refused)
    for (let cut = 0; cut < 3; cut++) await expect(redeem(ticket, again)).resolves.toMatchObject({ access: 'control' })
    await live.close(sessionId, 'ticket_revoked')
    await expect(redeem(ticket, again)).rejects.toMatchObject(refused)

    const { ticket: ofKey } = await issue({}, otherId)
    await redeem(ofKey, {}, otherId)
    await expect(redeem(ofKey, { isReconnect: true }, otherId)).rejects.toMatchObject(refused)
  })

  test('for a page of one origin, no page of another can use it, nor can a program', async () => {
    const { issue, redeem } = await setUp()
    const origin = 'https://app.example.com'
    const { ticket } = await issue({ origin })
    for (const use of [{}, { origin: 'https://evil.test' }])
      await expect(redeem(ticket, use)).rejects.toMatchObject(refused)
    await expect(redeem(ticket, { origin })).resolves.toMatchObject({ holder: byKey })
    const { ticket: ownPage } = await issue()
    await expect(redeem(ownPage, { origin })).rejects.toMatchObject(refused)
  })

  test('of a cookie all are revoked, in every session; others stay', async () => {
    const { live, issue, redeem } = await setUp()
    const theirs = await issue({ holder: byCookie })
    const elsewhere = await issue({ holder: byCookie }, otherId)
    const others = await issue()
    await live.revokeOfCookie(byCookie.cookie)
    const cookies = [byCookie.cookie]
    await expect(redeem(theirs.ticket, { cookies })).rejects.toMatchObject(refused)
    await expect(redeem(elsewhere.ticket, { cookies }, otherId)).rejects.toMatchObject(refused)
    await expect(redeem(others.ticket)).resolves.toBeDefined()
  })

  test('the database holds hashes, not for ever', async () => {
    const { store, issue, passMs } = await setUp()
    const { ticket } = await issue()
    const { rows } = await sql<{ hash: string }>`select * from tickets`.execute(store.db)
    expect(JSON.stringify(rows)).not.toContain(ticket)
    expect(rows[0]?.hash).toBe(createHash('sha256').update(ticket).digest('hex'))
    passMs(26 * 3_600_000)
    await issue({ access: 'view' }, otherId)
    const left = await store.db.selectFrom('tickets').select('session_id').execute()
    expect(left).toEqual([{ session_id: otherId }])
  })
})
