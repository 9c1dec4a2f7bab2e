import { createHash } from 'node:crypto'
import { type Clock, systemClock } from '@anteroom/base'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { openStore } from '../store/store.ts'
import { createLive } from './live.ts'

const sessionId = `ses_${'a'.repeat(24)}`
const otherId = `ses_${'b'.repeat(24)}`

async function setUp() {
  const store = await openStore(':memory:')
  let now = 1_800_000_000_000
  const clock: Clock = { ...systemClock, now: () => now }
  const live = createLive({ store, clock, publicUrl: () => 'https://anteroom.example/' })
  const passMs = (ms: number): void => {
    now += ms
  }
  return { store, live, passMs }
}

describe('tickets', () => {
  test('open the live view of their session once, with the access they were issued for', async () => {
    const { live } = await setUp()
    const issued = await live.issueTicket(sessionId, 'view', 30)
    expect(issued).toMatchObject({ access: 'view', expires_at: new Date(1_800_000_030_000).toISOString() })
    expect(issued.url).toBe(`wss://anteroom.example/v1/sessions/${sessionId}/live?ticket=${issued.ticket}`)
    await expect(live.redeemTicket(sessionId, issued.ticket)).resolves.toEqual({ access: 'view', by: null })
    await expect(live.redeemTicket(sessionId, issued.ticket)).rejects.toMatchObject({ code: 'ticket_invalid' })
  })

  test('of many redemptions at the same time exactly one succeeds', async () => {
    const { live } = await setUp()
    const { ticket } = await live.issueTicket(sessionId, 'control', 30)
    const all = await Promise.allSettled(Array.from({ length: 20 }, () => live.redeemTicket(sessionId, ticket)))
    expect(all.filter((one) => one.status === 'fulfilled')).toHaveLength(1)
  })

  test.each(['late', 'revoked', 'of another session', 'guessed'])('%s: refused', async (how) => {
    const { live, passMs } = await setUp()
    const { ticket } = await live.issueTicket(sessionId, 'control', 30)
    if (how === 'late') passMs(30_000)
    if (how === 'revoked') await live.close(sessionId, 'ticket_revoked')
    const id = how === 'of another session' ? otherId : sessionId
    const presented = how === 'guessed' ? `${ticket.slice(0, -1)}_` : ticket
    await expect(live.redeemTicket(id, presented)).rejects.toMatchObject({ code: 'ticket_invalid' })
  })

  test('a refusal for another session does not use the ticket up, and revoking one session leaves the others', async () => {
    const { live } = await setUp()
    const { ticket } = await live.issueTicket(sessionId, 'control', 30)
    await expect(live.redeemTicket(otherId, ticket)).rejects.toMatchObject({ code: 'ticket_invalid' })
    await live.close(otherId, 'session_ended')
    await expect(live.redeemTicket(sessionId, ticket)).resolves.toEqual({ access: 'control', by: null })
  })

  test('the database holds hashes, not for ever', async () => {
    const { store, live, passMs } = await setUp()
    const { ticket } = await live.issueTicket(sessionId, 'control', 30)
    const { rows } = await sql<{ hash: string }>`select * from tickets`.execute(store.db)
    expect(JSON.stringify(rows)).not.toContain(ticket)
    expect(rows[0]?.hash).toBe(createHash('sha256').update(ticket).digest('hex'))
    passMs(3_700_000)
    await live.issueTicket(otherId, 'view', 30)
    const left = await store.db.selectFrom('tickets').select('session_id').execute()
    expect(left).toEqual([{ session_id: otherId }])
  })
})
