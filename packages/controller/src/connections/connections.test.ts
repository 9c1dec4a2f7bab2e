import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newId, systemClock } from '@anteroom/base'
import { connection, defaultProjectId } from '@anteroom/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { testAudit } from '../../test/test-audit.ts'
import { openStore, type Store } from '../store/store.ts'
import { openVault } from '../vault/vault.ts'
import { type Connections, createConnections } from './connections.ts'

describe('Connections', () => {
  let store: Store
  let connections: Connections
  let home: string

  beforeEach(async () => {
    store = await openStore(':memory:')
    home = await mkdtemp(join(tmpdir(), 'anteroom-connections-'))
    const audit = testAudit({ store })
    const vault = await openVault({ keyFile: join(home, 'vault.key'), store, clock: systemClock, audit })
    connections = createConnections({ store, audit, vault })
  })
  afterEach(async () => {
    await store.close()
    await rm(home, { recursive: true })
  })

  const ensure = (provider: string, subject: string, now: number) =>
    store.transaction((tx) => connections.ensure(tx, { projectId: defaultProjectId, provider, subject }, now))

  const addCredential = (connectionId: string) =>
    store.transaction(async (tx) => {
      await tx.updateTable('connections').set({ version: 1 }).where('id', '=', connectionId).execute()
      await tx
        .insertInto('credentials')
        .values({
          id: newId('credential'),
          connection_id: connectionId,
          version: 1,
          session_id: newId('session'),
          ciphertext: 'x',
          wrapped_key: 'x',
          wrapping_key_id: 'x',
          captured_at: 1,
        })
        .execute()
    })

  test('ensure makes one connection for a pair and finds it again', async () => {
    const id = await ensure('demo', 'alice', 5)
    expect(await ensure('demo', 'alice', 9)).toBe(id)
    expect(await ensure('demo', 'bob', 9)).not.toBe(id)
    const found = await connections.get(id)
    expect(connection.parse(found)).toEqual(found)
    expect(found).toMatchObject({ status: 'needs_auth', version: 0, created_at: '1970-01-01T00:00:00.005Z' })
  })

  test('is authenticated only while a credential is there', async () => {
    const id = await ensure('demo', 'alice', 1)
    await addCredential(id)
    expect((await connections.get(id)).status).toBe('authenticated')
    await store.db.updateTable('credentials').set({ format: 0 }).execute()
    await store.db.deleteFrom('credentials').execute()
    expect(await connections.get(id)).toMatchObject({ status: 'needs_auth', version: 1 })
  })

  test('remove takes the credentials along, and nobody else’s', async () => {
    const [alice, bob] = [await ensure('demo', 'alice', 1), await ensure('demo', 'bob', 1)]
    await addCredential(alice)
    await addCredential(bob)
    await connections.remove(alice)
    await expect(connections.get(alice)).rejects.toMatchObject({ code: 'not_found' })
    await expect(connections.remove(alice)).rejects.toMatchObject({ code: 'not_found' })
    const left = await store.db.selectFrom('credentials').select('connection_id').execute()
    expect(left).toEqual([{ connection_id: bob }])
  })

  test('filters by provider and subject', async () => {
    await ensure('demo', 'alice', 1)
    await ensure('demo', 'bob', 2)
    await ensure('site', 'alice', 3)
    const names = async (filter: { provider?: string; subject?: string }) =>
      (await connections.list({ ...filter, limit: 10 })).items.map((c) => `${c.provider}/${c.subject}`)
    expect(await names({})).toEqual(['site/alice', 'demo/bob', 'demo/alice'])
    expect(await names({ provider: 'demo' })).toEqual(['demo/bob', 'demo/alice'])
    expect(await names({ subject: 'alice' })).toEqual(['site/alice', 'demo/alice'])
    expect(await names({ provider: 'demo', subject: "' or 1=1 --" })).toEqual([])
  })

  test('pages give every connection once, whatever the page size, also with equal times', async () => {
    for (let n = 0; n < 13; n++) await ensure('demo', `s${n}`, Math.floor(n / 4))
    const all = (await connections.list({ limit: 100 })).items.map((c) => c.id)
    expect(all).toHaveLength(13)
    for (const limit of [1, 3, 12, 13, 14]) {
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const page = await connections.list({ limit, ...(cursor !== undefined && { cursor }) })
        expect(page.items.length).toBeLessThanOrEqual(limit)
        seen.push(...page.items.map((c) => c.id))
        cursor = page.next_cursor ?? undefined
      } while (cursor !== undefined)
      expect(seen).toEqual(all)
    }
  })

  test('a connection made between two pages does not shift the second', async () => {
    for (let n = 0; n < 4; n++) await ensure('demo', `s${n}`, n)
    const first = await connections.list({ limit: 2 })
    await ensure('demo', 'late', 99)
    const second = await connections.list({ limit: 2, cursor: first.next_cursor ?? '' })
    expect(second.items.map((c) => c.subject)).toEqual(['s1', 's0'])
    expect(second.next_cursor).toBeNull()
  })
})
