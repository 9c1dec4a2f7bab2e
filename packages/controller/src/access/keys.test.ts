import { inspect } from 'node:util'
import { newId, newToken, type Secret } from '@anteroom/base'
import { type ApiKey, type CreateKey, defaultProjectId, keyScopes, type RotateKey } from '@anteroom/contract'
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { testAudit } from '../../test/test-audit.ts'
import { createEvents } from '../events/events.ts'
import { ManualClock } from '../live/live.fixture.ts'
import { openStore, type Store } from '../store/store.ts'
import { type Access, createAccess, type HeldKey, type Principal } from './access.ts'

let store: Store
let access: Access
let clock: ManualClock
const all = { kind: 'key', id: newId('key'), hash: '', scopes: keyScopes, projectId: null } satisfies Principal

beforeEach(async () => {
  clock = new ManualClock()
  store = await openStore(':memory:')
  access = createAccess({ store, clock, events: createEvents({ store, clock }), audit: testAudit({ store, clock }) })
})
afterEach(() => store.close())

const reader: CreateKey = { name: 'reader', scopes: ['sessions:read'] }
const create = (asked: Partial<CreateKey> = {}, by: Principal = all) => access.keys.create({ ...reader, ...asked }, by)
const rotate = (id: string, asked: Partial<RotateKey> = {}, by: Principal = all) =>
  access.keys.rotate(id, { overlap_seconds: 60, ...asked }, by)
const opens = (secret: Secret<string>): Promise<boolean> =>
  access.byKey(secret.expose()).then(
    () => true,
    () => false,
  )
const refusal = (bearer: string): Promise<unknown> =>
  access.byKey(bearer).then(
    () => 'it opened',
    ({ code, detail }) => ({ code, detail }),
  )

test('a key opens what its scopes say; of its secret the hash is kept, and nothing prints it', async () => {
  const { key, secret } = await create({ scopes: ['credentials:read', 'sessions:read', 'sessions:read'] })
  expect(secret.expose()).toMatch(new RegExp(`^ark_${key.id.slice(4)}_[\\w-]{43}$`))
  expect(await access.byKey(secret.expose())).toMatchObject({
    id: key.id,
    scopes: ['sessions:read', 'credentials:read'],
  })
  const { rows } = await sql`select * from api_keys`.execute(store.db)
  for (const told of [JSON.stringify(rows), JSON.stringify({ secret }), inspect({ secret }), `${secret}`])
    expect(told).not.toContain(secret.expose().slice(29))
  expect(key).toEqual({
    ...{ id: key.id, name: 'reader', scopes: ['sessions:read', 'credentials:read'], status: 'active', in_file: false },
    ...{ project_id: defaultProjectId, created_at: new Date(clock.now()).toISOString() },
    ...{ expires_at: null, revoked_at: null, rotated_at: null, previous_expires_at: null, last_used_at: null },
  } satisfies ApiKey)
})

test('an expired key opens nothing, from that moment on', async () => {
  const { key, secret } = await create({ expires_in_seconds: 60 })
  await clock.pass(59)
  expect(await opens(secret)).toBe(true)
  await clock.pass(1)
  expect(await opens(secret)).toBe(false)
  expect(await access.keys.get(key.id)).toMatchObject({ status: 'expired' })
})

test('a revoked key opens nothing, however often it is revoked, and is still to be seen', async () => {
  const { key, secret } = await create()
  await access.keys.revoke(key.id)
  const { revoked_at } = await access.keys.get(key.id)
  await clock.pass(5)
  await access.keys.revoke(key.id)
  expect(await opens(secret)).toBe(false)
  expect(await access.keys.get(key.id)).toMatchObject({ status: 'revoked', revoked_at })
})

test('what is unknown, expired, revoked, rotated away or no key at all is refused alike', async () => {
  const [expired, revoked, rotated] = [await create({ expires_in_seconds: 60 }), await create(), await create()]
  await access.keys.revoke(revoked.key.id)
  await rotate(rotated.key.id, { overlap_seconds: 0 })
  await clock.pass(60)
  const bearers = [expired, revoked, rotated].map(({ secret }) => secret.expose())
  const unknown = [`ark_${newId('key').slice(4)}_${newToken()}`, `${bearers[0]?.slice(0, -1)}~`, 'ark_', 'nonsense']
  const told = await Promise.all([...bearers, ...unknown].map(refusal))
  expect(new Set(told.map((one) => JSON.stringify(one))).size).toBe(1)
  expect(told[0]).toMatchObject({ code: 'unauthenticated' })
})

test('after a rotation both secrets open until the overlap is over; the row and its id stay', async () => {
  const { key, secret } = await create()
  await clock.pass(10)
  const rotated = await rotate(key.id)
  const { previous_expires_at, rotated_at } = rotated.key
  expect(rotated.key.id).toBe(key.id)
  expect(Date.parse(previous_expires_at ?? '')).toBe(clock.now() + 60_000)
  expect(Date.parse(rotated_at ?? '')).toBe(clock.now())
  await clock.pass(59)
  expect([await opens(secret), await opens(rotated.secret)]).toEqual([true, true])
  await clock.pass(1)
  expect([await opens(secret), await opens(rotated.secret)]).toEqual([false, true])
  expect(await access.keys.get(key.id)).toMatchObject({ previous_expires_at: null, status: 'active' })
})

test('rotated twice, the first secret ends at once; with no overlap the one before does', async () => {
  const first = await create()
  const second = await rotate(first.key.id)
  const third = await rotate(first.key.id)
  expect(await Promise.all([first, second, third].map(({ secret }) => opens(secret)))).toEqual([false, true, true])
  const fourth = await rotate(first.key.id, { overlap_seconds: 0 })
  expect(await Promise.all([second, third, fourth].map(({ secret }) => opens(secret)))).toEqual([false, false, true])
})

test('a rotation lengthens the life of the key only where that is asked for, and never that of the secret before', async () => {
  const { key, secret } = await create({ expires_in_seconds: 90 })
  const same = await rotate(key.id, { overlap_seconds: 600 })
  expect(same.key).toMatchObject({ expires_at: key.expires_at, previous_expires_at: key.expires_at })
  const longer = await rotate(key.id, { overlap_seconds: 600, expires_in_seconds: 3600 })
  await clock.pass(90)
  expect(await Promise.all([secret, same.secret, longer.secret].map(opens))).toEqual([false, false, true])
})

test('what opens nothing any more is not rotated; the one in the file neither that nor revoked', async () => {
  const [revoked, expired] = [await create(), await create({ expires_in_seconds: 60 })]
  await access.keys.revoke(revoked.key.id)
  await clock.pass(60)
  const { key: inFile } = await create()
  await store.db.updateTable('api_keys').set({ in_file: 1 }).where('id', '=', inFile.id).execute()
  for (const { id } of [revoked.key, expired.key, inFile])
    await expect(rotate(id)).rejects.toMatchObject({ code: 'key_unchangeable' })
  await expect(access.keys.revoke(inFile.id)).rejects.toMatchObject({ code: 'key_unchangeable' })
  for (const act of [access.keys.get, access.keys.revoke, rotate])
    await expect(act(newId('key'))).rejects.toMatchObject({ code: 'not_found' })
})

test('nobody gives a scope that they do not have, neither by a new key nor by rotating one', async () => {
  const lesser: Principal = { ...all, scopes: ['operator', 'sessions:read'] }
  const dashboard: Principal = { kind: 'operator', cookie: 'c' }
  const visitor: Principal = { kind: 'visitor', cookie: 'c', sessionId: newId('session') }
  const { key } = await create({ scopes: ['sessions:read', 'credentials:read'] })
  for (const by of [lesser, dashboard, visitor]) {
    await expect(create({ scopes: ['credentials:read'] }, by)).rejects.toMatchObject({ code: 'forbidden' })
    await expect(rotate(key.id, {}, by)).rejects.toMatchObject({ code: 'forbidden' })
  }
  expect(await access.keys.get(key.id)).toMatchObject({ rotated_at: null })
  await create({ scopes: ['operator', 'sessions:read'] }, lesser)
  await create({ scopes: keyScopes.filter((scope) => scope !== 'credentials:read') }, dashboard)
})

test('they are listed newest first, page by page, revoked ones too', async () => {
  const ids: string[] = []
  for (let n = 0; n < 5; n++) {
    ids.unshift((await create({ name: `${n}` })).key.id)
    await clock.pass(1)
  }
  await access.keys.revoke(ids[2] ?? '')
  const first = await access.keys.list({ limit: 3 })
  const rest = await access.keys.list({ limit: 3, cursor: first.next_cursor ?? '' })
  expect([...first.items, ...rest.items].map(({ id }) => id)).toEqual(ids)
  expect(rest.next_cursor).toBeNull()
  await expect(access.keys.list({ limit: 3, cursor: 'x' })).rejects.toMatchObject({ code: 'invalid_request' })
})

test('use is noted once a minute at the most', async () => {
  const { key, secret } = await create()
  const noted = async () => Date.parse((await access.keys.get(key.id)).last_used_at ?? '')
  const use = async () => {
    await opens(secret)
    return await noted()
  }
  const first = clock.now()
  expect(await use()).toBe(first)
  await clock.pass(59)
  expect(await use()).toBe(first)
  await clock.pass(1)
  expect(await use()).toBe(first + 60_000)
})

test('a database that cannot be written to refuses nobody', async () => {
  const { secret } = await create()
  await sql`pragma query_only = on`.execute(store.db)
  expect(await opens(secret)).toBe(true)
})

async function held(secret: Secret<string>): Promise<HeldKey> {
  const principal = await access.byKey(secret.expose())
  if (principal.kind !== 'key') throw new Error('it is no key')
  return principal
}

const ended = ({ signal }: { readonly signal: AbortSignal }): Promise<unknown> =>
  expect.poll(() => signal.aborted, { timeout: 10_000 }).toBe(true)

test('what is held with a key ends when that is revoked, and not with another', async () => {
  const [mine, other] = [await create(), await create()]
  const holds = [access.hold(await held(mine.secret)), access.hold(await held(other.secret))] as const
  await access.keys.revoke(mine.key.id)
  await ended(holds[0])
  expect(holds[1].signal.aborted).toBe(false)
  expect(await access.opens(await held(other.secret))).toBe(true)
  holds[1].release()
  expect(clock.waiting).toBe(0)
})

test('what is held ends with the secret that opened it: when it expires, and when it was rotated away', async () => {
  const { key, secret } = await create({ expires_in_seconds: 600 })
  const before = await held(secret)
  const old = access.hold(before)
  const rotated = await rotate(key.id)
  const current = access.hold(await held(rotated.secret))
  await expect.poll(() => clock.waiting, { timeout: 10_000 }).toBe(2)
  await clock.pass(60)
  await ended(old)
  expect(await access.opens(before)).toBe(false)
  expect(current.signal.aborted).toBe(false)
  await clock.pass(540)
  await ended(current)
  expect(clock.waiting).toBe(0)
})

test('what is held ends also when its key is not known any more', async () => {
  const { key, secret } = await create()
  const holder = await held(secret)
  await store.db.deleteFrom('api_keys').where('id', '=', key.id).execute()
  await ended(access.hold(holder))
})
