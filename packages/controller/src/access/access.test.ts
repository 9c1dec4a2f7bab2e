import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, newId, newToken, systemClock } from '@anteroom/base'
import { defaultProjectId, errorDefinitions, keyScopes } from '@anteroom/contract'
import fc from 'fast-check'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { testAudit } from '../../test/test-audit.ts'
import { createEvents } from '../events/events.ts'
import { openStore, type Store } from '../store/store.ts'
import { type Access, createAccess } from './access.ts'
import { secretHash } from './secret-hash.ts'

describe('Access', () => {
  let store: Store
  let access: Access
  let now: number
  let directory: string
  let keyPath: string
  const clock: Clock = { ...systemClock, now: () => now }

  beforeEach(async () => {
    now = 1_000_000
    store = await openStore(':memory:')
    access = createAccess({ store, clock, events: createEvents({ store, clock }), audit: testAudit({ store, clock }) })
    directory = await mkdtemp(join(tmpdir(), 'anteroom-access-'))
    keyPath = join(directory, 'operator.key')
  })
  afterEach(async () => {
    await store.close()
    await rm(directory, { recursive: true })
  })

  /** Everything that the database holds, as text: no secret may be in there. */
  async function databaseText(): Promise<string> {
    const tables = ['api_keys', 'cookies', 'sign_in_links', 'sessions', 'events']
    const rows = await Promise.all(tables.map((t) => sql`select * from ${sql.table(t)}`.execute(store.db)))
    return JSON.stringify(rows.map((r) => r.rows))
  }

  describe('operator key', () => {
    const keyInFile = async () => (await readFile(keyPath, 'utf8')).trim()

    test('is made with mode 0600, has every scope, and is kept', async () => {
      await access.ensureOperatorKey(keyPath)
      const key = await keyInFile()
      expect(key).toMatch(/^ark_[a-z2-7]{24}_[\w-]{43}$/)
      expect((await stat(keyPath)).mode & 0o777).toBe(0o600)
      expect(await access.byKey(key)).toEqual({
        ...{ kind: 'key', id: `key_${key.slice(4, 28)}`, hash: secretHash(key), scopes: keyScopes },
        projectId: null,
      })
      await access.ensureOperatorKey(keyPath)
      expect(await keyInFile()).toBe(key)
      expect(await readdir(directory)).toEqual(['operator.key'])
      expect(await databaseText()).not.toContain(key.slice(29))
    })

    test.each([
      ['others may have read it', () => chmod(keyPath, 0o644)],
      ['its file is lost', () => rm(keyPath)],
      ['its file is damaged', () => writeFile(keyPath, 'hello')],
    ])('is replaced and the old one revoked when %s', async (_why, damage) => {
      await access.ensureOperatorKey(keyPath)
      const old = await keyInFile()
      await damage()
      await access.ensureOperatorKey(keyPath)
      expect(await keyInFile()).not.toBe(old)
      expect((await stat(keyPath)).mode & 0o777).toBe(0o600)
      await expect(access.byKey(old)).rejects.toMatchObject({ code: 'unauthenticated' })
      await access.byKey(await keyInFile())
    })

    test('is replaced when another database made it', async () => {
      await access.ensureOperatorKey(keyPath)
      const old = await keyInFile()
      await store.db.deleteFrom('api_keys').execute()
      await access.ensureOperatorKey(keyPath)
      expect(await keyInFile()).not.toBe(old)
    })

    test('a lesser key in the file is not made an operator', async () => {
      await access.ensureOperatorKey(keyPath)
      const key = await keyInFile()
      await store.db
        .updateTable('api_keys')
        .set({ in_file: 0, project_id: defaultProjectId, scopes: '["sessions:read"]' })
        .execute()
      await access.ensureOperatorKey(keyPath)
      expect(await access.byKey(key)).toMatchObject({ scopes: ['sessions:read'] })
      expect(await access.byKey(await keyInFile())).toMatchObject({ scopes: keyScopes })
    })

    test('gets the scopes that a newer version knows', async () => {
      await access.ensureOperatorKey(keyPath)
      await store.db.updateTable('api_keys').set({ scopes: '["operator"]' }).execute()
      await access.ensureOperatorKey(keyPath)
      expect(await access.byKey(await keyInFile())).toMatchObject({ scopes: keyScopes })
    })

    test('says so when the file cannot be written', async () => {
      await expect(access.ensureOperatorKey(join(directory, 'none', 'operator.key'))).rejects.toMatchObject({
        code: 'store_unavailable',
      })
    })

    test('nothing but the key itself is accepted', async () => {
      await access.ensureOperatorKey(keyPath)
      const key = await keyInFile()
      const changed = fc
        .tuple(fc.nat(key.length - 1), fc.constantFrom(...'abcXYZ234_-'))
        .map(([at, c]) => key.slice(0, at) + c + key.slice(at + 1))
      await fc.assert(
        fc.asyncProperty(fc.oneof(changed, fc.string(), fc.constant(''), fc.constant(`${key} `)), async (other) => {
          fc.pre(other !== key)
          await expect(access.byKey(other)).rejects.toMatchObject({ code: 'unauthenticated' })
        }),
      )
    })
  })

  describe("operator's link", () => {
    test('signs in once', async () => {
      const token = await access.newSignInToken(60)
      const cookie = await access.signIn(token)
      expect(await access.byCookie(cookie)).toMatchObject({ kind: 'operator' })
      await expect(access.signIn(token)).rejects.toMatchObject({ code: 'entry_invalid' })
      const text = await databaseText()
      expect(text).not.toContain(token)
      expect(text).not.toContain(cookie)
    })

    test('of two attempts at once one succeeds', async () => {
      const token = await access.newSignInToken(60)
      const results = await Promise.allSettled([access.signIn(token), access.signIn(token)])
      expect(results.map((r) => r.status).sort()).toEqual(['fulfilled', 'rejected'])
    })

    test('is refused when it is late or unknown', async () => {
      const token = await access.newSignInToken(60)
      now += 60_000
      await expect(access.signIn(token)).rejects.toMatchObject({ code: 'entry_invalid' })
      await expect(access.signIn(newToken())).rejects.toMatchObject({ code: 'entry_invalid' })
    })

    test('signing out forgets this cookie and no other', async () => {
      const [mine, other] = [
        await access.signIn(await access.newSignInToken(60)),
        await access.signIn(await access.newSignInToken(60)),
      ]
      await access.signOut(mine)
      await access.signOut('unknown')
      expect(await access.byCookie(mine)).toBeUndefined()
      expect(await access.byCookie(other)).toMatchObject({ kind: 'operator' })
    })

    test('the cookie ends after twelve hours', async () => {
      const cookie = await access.signIn(await access.newSignInToken(60))
      now += 12 * 3_600_000 - 1
      expect(await access.byCookie(cookie)).toBeDefined()
      now += 1
      expect(await access.byCookie(cookie)).toBeUndefined()
    })
  })

  describe("account owner's entry", () => {
    async function newSession(secret: string): Promise<string> {
      const id = newId('session')
      await store.db
        .insertInto('sessions')
        .values({
          id,
          project_id: defaultProjectId,
          version: 1,
          status: 'queued',
          provider: 'demo',
          provider_definition: '{}',
          subject: 'alice',
          capture_requested: 0,
          entry_hash: secretHash(secret),
          attempt: 0,
          not_before: 0,
          created_at: now,
          expires_at: now + 900_000,
        })
        .execute()
      return id
    }

    async function enter(id: string, secret: string): Promise<string> {
      const { cookie } = await access.enter(id, secret)
      if (cookie === null) throw new Error('the session has ended')
      return cookie
    }

    const eventTypes = async () =>
      (await store.db.selectFrom('events').select(['type', 'data']).orderBy('seq').execute()).map(
        (e) => `${e.type} ${e.data}`,
      )

    test('works once; the second use is refused and told', async () => {
      const secret = newToken()
      const id = await newSession(secret)
      const cookie = await enter(id, secret)
      expect(await access.byCookie(cookie)).toMatchObject({ kind: 'visitor', sessionId: id })
      await expect(access.enter(id, secret)).rejects.toMatchObject({ code: 'entry_invalid' })
      expect(await eventTypes()).toEqual(['entered {}', 'entry_refused {"reason":"used"}'])
      const row = await store.db.selectFrom('sessions').selectAll().executeTakeFirstOrThrow()
      expect(row).toMatchObject({ entered_at: now, version: 1 })
      const text = await databaseText()
      expect(text).not.toContain(secret)
      expect(text).not.toContain(cookie)
    })

    test('of many at once one enters', async () => {
      const secret = newToken()
      const id = await newSession(secret)
      const results = await Promise.allSettled(Array.from({ length: 8 }, () => access.enter(id, secret)))
      expect(results.filter((r) => r.status === 'fulfilled')).toHaveLength(1)
    })

    test("a wrong secret, another session's, or no session at all: the same refusal, and no event", async () => {
      const [mine, other] = [newToken(), newToken()]
      const id = await newSession(mine)
      await newSession(other)
      const refusals = await Promise.all(
        [
          [id, newToken()],
          [id, other],
          [id, ''],
          [newId('session'), mine],
        ].map(([session = '', secret = '']) => access.enter(session, secret).catch((e: unknown) => String(e))),
      )
      expect(new Set(refusals).size).toBe(1)
      expect(refusals[0]).toContain('Entry link is not valid')
      expect(await eventTypes()).toEqual([])
      await access.enter(id, mine)
    })

    const failure = (code: string) => ({ code, stage: 'boot', message: 'Words.', hint: 'Hint.', detail: 'console' })

    test.each([
      ['completed', null],
      ['failed', 'vmm_exited'],
      ['expired', 'session_never_opened'],
      ['cancelled', 'session_cancelled'],
    ] as const)('by the right link after a session that was %s tells that, again and again', async (outcome, code) => {
      const secret = newToken()
      const id = await newSession(secret)
      const ended = { status: 'ended', outcome, ended_at: now, return_url: 'https://app.example.com/' } as const
      await store.db
        .updateTable('sessions')
        .set({ ...ended, failure: code && JSON.stringify(failure(code)) })
        .where('id', '=', id)
        .execute()
      const told = { outcome, failure: code && { code, message: 'Words.' }, return_url: ended.return_url }
      for (let time = 1; time <= 2; time += 1) {
        const entry = await access.enter(id, secret)
        expect(entry).toEqual({ cookie: null, provider: 'demo', end: told })
      }
      await expect(access.enter(id, newToken())).rejects.toMatchObject({ code: 'entry_invalid' })
      const over = 'entry_refused {"reason":"over"}'
      expect(await eventTypes()).toEqual([over, over])
      expect(await store.db.selectFrom('cookies').selectAll().execute()).toEqual([])
    })

    test('a link that was used tells nothing after the end', async () => {
      const secret = newToken()
      const id = await newSession(secret)
      await access.enter(id, secret)
      const ended = { status: 'ended', outcome: 'completed', ended_at: now } as const
      await store.db.updateTable('sessions').set(ended).where('id', '=', id).execute()
      await expect(access.enter(id, secret)).rejects.toMatchObject({ code: 'entry_invalid' })
    })

    test('tells that its time is over, also while nobody has written that down', async () => {
      const secret = newToken()
      const id = await newSession(secret)
      now += 900_000
      const late = { code: 'session_expired', message: errorDefinitions.session_expired.person }
      expect(await access.enter(id, secret)).toMatchObject({ cookie: null, end: { outcome: 'expired', failure: late } })
      expect(await eventTypes()).toEqual(['entry_refused {"reason":"over"}'])
    })

    test('just before the limit to come leaves the time to open the screen', async () => {
      const [late, early] = [newToken(), newToken()]
      const ids = [await newSession(late), await newSession(early)]
      const [soon, far] = [now + 1000, now + 300_000]
      for (const [id, first_connect_expires_at] of [[ids[0], soon] as const, [ids[1], far] as const])
        await store.db
          .updateTable('sessions')
          .set({ first_connect_expires_at })
          .where('id', '=', id ?? '')
          .execute()
      await access.enter(ids[0] ?? '', late)
      await access.enter(ids[1] ?? '', early)
      const rows = await store.db.selectFrom('sessions').select('first_connect_expires_at').orderBy('id').execute()
      expect(rows.map((row) => row.first_connect_expires_at).toSorted()).toEqual([now + 60_000, far])
    })

    test('the cookie of a session that may be extended lasts as long as that can', async () => {
      const secret = newToken()
      const id = await newSession(secret)
      await store.db
        .updateTable('sessions')
        .set({ may_extend_until: now + 3_600_000 })
        .where('id', '=', id)
        .execute()
      const cookie = await enter(id, secret)
      now += 3_600_000 + 14 * 60_000
      expect(await access.byCookie(cookie)).toMatchObject({ kind: 'visitor', sessionId: id })
    })

    test('the cookie outlives the session so that the result can be read, then ends', async () => {
      const secret = newToken()
      const id = await newSession(secret)
      const cookie = await enter(id, secret)
      now += 900_000 + 14 * 60_000
      expect(await access.byCookie(cookie)).toMatchObject({ kind: 'visitor', sessionId: id })
      now += 60_000
      expect(await access.byCookie(cookie)).toBeUndefined()
    })
  })

  test('sweep deletes what is over and leaves the rest', async () => {
    await access.newSignInToken(10)
    const keep = await access.newSignInToken(1000)
    const cookie = await access.signIn(await access.newSignInToken(10))
    await access.sweep(now + 10_000)
    expect(await store.db.selectFrom('sign_in_links').selectAll().execute()).toHaveLength(1)
    expect(await access.byCookie(cookie)).toBeDefined()
    await access.signIn(keep)
    await access.sweep(now + 12 * 3_600_000)
    expect(await store.db.selectFrom('cookies').selectAll().execute()).toEqual([])
  })
})
