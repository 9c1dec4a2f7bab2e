import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { AppError, newId, systemClock } from '@anteroom/base'
import { type CredentialValue, maxSealedBytes, type SealedPayload, type SealingKey } from '@anteroom/contract'
import fc from 'fast-check'
import { CompactEncrypt, importJWK } from 'jose'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readCredential } from '../../test/read-credential.ts'
import { sampleSummary, sampleTokens } from '../../test/sample-credential.ts'
import { testAudit } from '../../test/test-audit.ts'
import { openStore, type Store } from '../store/store.ts'
import { newSession as newSealingSession } from './test-vault.fixture.ts'
import { openVault, type SealingSession, type Vault } from './vault.ts'

const canary = 'canary-Xq7-access-token'

const value: CredentialValue = { ...sampleTokens, access_token: canary }
const summary = sampleSummary

const payloadOf = (session: SealingSession, change: Partial<SealedPayload> = {}): SealedPayload => ({
  session_id: session.id,
  provider: session.provider,
  captured_at: '2026-11-20T10:00:00.000Z',
  value,
  ...change,
})

async function seal(content: unknown, key: SealingKey, header: object = {}): Promise<string> {
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  return await new CompactEncrypt(new TextEncoder().encode(text))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: key.kid, ...header })
    .encrypt(await importJWK(key, 'ECDH-ES'))
}

describe('Vault', () => {
  let directory: string
  let keyFile: string
  let store: Store
  let vault: Vault

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'anteroom-vault-'))
    keyFile = join(directory, 'vault.key')
    store = await openStore(join(directory, 'anteroom.db'))
    vault = await openVault({ keyFile, store, clock: systemClock, audit: testAudit({ store }) })
  })
  afterEach(async () => {
    await store.close()
    await rm(directory, { recursive: true })
  })

  const newSession = (subject = 'alice', connectionId?: string): Promise<SealingSession> =>
    newSealingSession(store, subject, connectionId)

  async function storeOne(session: SealingSession, change: Partial<SealedPayload> = {}): Promise<void> {
    await vault.store(session, await seal(payloadOf(session, change), await vault.sealingKey(session.id)), summary)
  }

  const rowsOf = (table: 'credentials' | 'sealing_keys') =>
    sql<Record<string, unknown>>`select * from ${sql.table(table)}`.execute(store.db).then((r) => r.rows)

  describe('stores and reads', () => {
    test('gives back what was sealed, as version 1, and forgets the sealing key', async () => {
      const session = await newSession()
      await storeOne(session)
      const credential = await readCredential(vault, session.connectionId)
      expect(credential).toMatchObject({
        connection_id: session.connectionId,
        version: 1,
        captured_at: '2026-11-20T10:00:00.000Z',
        value,
      })
      expect(await rowsOf('sealing_keys')).toEqual([])
      const connection = await store.db.selectFrom('connections').selectAll().executeTakeFirstOrThrow()
      expect(connection).toMatchObject({ version: 1, last_session_id: session.id, captured: JSON.stringify(summary) })
    })

    test('the next session writes the next version; the newest is read', async () => {
      const first = await newSession()
      await storeOne(first)
      const second = await newSession('alice', first.connectionId)
      await storeOne(second, { value: { ...value, access_token: 'second' } })
      expect(await readCredential(vault, first.connectionId)).toMatchObject({
        version: 2,
        value: { access_token: 'second' },
      })
    })

    test('storing the same session twice, also at once, writes one version', async () => {
      const session = await newSession()
      const sealed = await seal(payloadOf(session), await vault.sealingKey(session.id))
      await Promise.all([vault.store(session, sealed, summary), vault.store(session, sealed, summary)])
      await vault.store(session, sealed, summary)
      expect(await rowsOf('credentials')).toHaveLength(1)
      expect((await readCredential(vault, session.connectionId)).version).toBe(1)
    })

    test('a session keeps its sealing key, also when it is asked for twice at once and after a restart', async () => {
      const [a, b] = await Promise.all([vault.sealingKey('s'), vault.sealingKey('s')])
      expect(a).toEqual(b)
      expect(
        await (await openVault({ keyFile, store, clock: systemClock, audit: testAudit({ store }) })).sealingKey('s'),
      ).toEqual(a)
      expect((await vault.sealingKey('other')).x).not.toBe(a.x)
    })

    test('a discarded key opens nothing any more', async () => {
      const session = await newSession()
      const sealed = await seal(payloadOf(session), await vault.sealingKey(session.id))
      await store.transaction((tx) => vault.discardSealingKey(tx, session.id))
      await expect(vault.store(session, sealed, summary)).rejects.toMatchObject({ code: 'capture_invalid' })
    })

    test('tells a connection that is unknown from one without a credential', async () => {
      const session = await newSession()
      await expect(readCredential(vault, session.connectionId)).rejects.toMatchObject({ code: 'connection_needs_auth' })
      await expect(readCredential(vault, newId('connection'))).rejects.toMatchObject({ code: 'not_found' })
    })

    test('a connection that was deleted meanwhile takes no credential', async () => {
      const session = await newSession()
      const sealed = await seal(payloadOf(session), await vault.sealingKey(session.id))
      await store.db.deleteFrom('connections').execute()
      await expect(vault.store(session, sealed, summary)).rejects.toMatchObject({ code: 'vault_unavailable' })
    })

    test('derived keys are stable, differ by label, and are not the root', async () => {
      const again = await openVault({ keyFile, store, clock: systemClock, audit: testAudit({ store }) })
      expect(vault.deriveKey('vm_a')).toHaveLength(32)
      expect(again.deriveKey('vm_a')).toEqual(vault.deriveKey('vm_a'))
      expect(vault.deriveKey('vm_b')).not.toEqual(vault.deriveKey('vm_a'))
      expect(await readFile(keyFile, 'utf8')).not.toContain(vault.deriveKey('vm_a').toString('base64url'))
    })

    test('nothing in the state directory or in a printed vault shows the token', async () => {
      await storeOne(await newSession())
      await sql`pragma wal_checkpoint(truncate)`.execute(store.db)
      const files = await readdir(directory)
      expect(files).toContain('anteroom.db')
      for (const name of files) expect((await readFile(join(directory, name))).includes(canary)).toBe(false)
      const key = (await readFile(keyFile, 'utf8')).trim().split(' ')[2]
      expect(inspect(vault, { depth: 9, showHidden: true })).not.toContain(key)
    })
  })

  describe('refuses what a guest should not send', () => {
    const refusals: Record<string, (session: SealingSession, key: SealingKey) => Promise<string>> = {
      'no JWE at all': async () => 'hello',
      'an empty string': async () => '',
      'too many bytes': async () => 'a'.repeat(maxSealedBytes + 1),
      'another algorithm': (s, key) => seal(payloadOf(s), key, { alg: 'ECDH-ES+A256KW' }),
      'another encryption': (s, key) => seal(payloadOf(s), key, { enc: 'A128GCM' }),
      'another kid': (s, key) => seal(payloadOf(s), key, { kid: 'other' }),
      "another session's key": async (s) => seal(payloadOf(s), await vault.sealingKey(newId('session'))),
      "another session's key under this one's kid": async (s, key) =>
        seal(payloadOf(s), { ...(await vault.sealingKey(newId('session'))), kid: key.kid }),
      "another session's id": (s, key) => seal(payloadOf(s, { session_id: newId('session') }), key),
      'another provider': (s, key) => seal(payloadOf(s, { provider: 'bank' }), key),
      'text that is no JSON': (_s, key) => seal(`{"access_token": ${canary}}`, key),
      'a value of another form': (s, key) =>
        seal({ ...payloadOf(s), value: { kind: 'oauth2', client_id: canary } }, key),
      'a kind that its summary does not say': (s, key) =>
        seal(
          payloadOf(s, {
            value: { kind: 'website', storage_state: { cookies: [], origins: [] }, session_storage: [] },
          }),
          key,
        ),
    }

    test.each(Object.keys(refusals))('%s', async (name) => {
      const session = await newSession()
      const sealed = await refusals[name]?.(session, await vault.sealingKey(session.id))
      const error = await vault.store(session, sealed ?? '', summary).catch((e: unknown) => e)
      expect(error).toMatchObject({ code: 'capture_invalid' })
      expect(inspect(error, { depth: 9 })).not.toContain(canary)
      expect(await rowsOf('credentials')).toEqual([])
    })

    test('the right one is still taken after a wrong one', async () => {
      const session = await newSession()
      await expect(vault.store(session, 'hello', summary)).rejects.toThrow(AppError)
      await storeOne(session)
      expect((await readCredential(vault, session.connectionId)).value).toEqual(value)
    })

    test('any change to a sealed credential', async () => {
      const session = await newSession()
      const sealed = await seal(payloadOf(session), await vault.sealingKey(session.id))
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.'
      const part = fc.nat(sealed.length - 1)
      const mutation = fc.oneof(
        fc.tuple(part, fc.constantFrom(...alphabet)).map(([at, c]) => sealed.slice(0, at) + c + sealed.slice(at + 1)),
        part.map((at) => sealed.slice(0, at)),
        fc.tuple(part, fc.string()).map(([at, text]) => sealed.slice(0, at) + text + sealed.slice(at)),
      )
      const bytesOf = (jwe: string) =>
        jwe
          .split('.')
          .map((p) => Buffer.from(p, 'base64url').toString('hex'))
          .join('.')
      await fc.assert(
        fc.asyncProperty(mutation, async (changed) => {
          // The last character of base64url may hold unused bits: the same bytes are the same credential.
          fc.pre(bytesOf(changed) !== bytesOf(sealed))
          await expect(vault.store(session, changed, summary)).rejects.toMatchObject({ code: 'capture_invalid' })
        }),
        { numRuns: 300 },
      )
      expect(await rowsOf('credentials')).toEqual([])
    })
  })

  describe('notices a changed database', () => {
    let alice: SealingSession
    let bob: SealingSession
    beforeEach(async () => {
      alice = await newSession('alice')
      bob = await newSession('bob')
      await storeOne(alice)
      await storeOne(bob)
      await storeOne(await newSession('alice', alice.connectionId))
    })

    const byConnection = (session: SealingSession, version = 1) =>
      store.db
        .selectFrom('credentials')
        .selectAll()
        .where('connection_id', '=', session.connectionId)
        .where('version', '=', version)
        .executeTakeFirstOrThrow()

    // Whoever writes to the file has no triggers in the way.
    beforeEach(() => sql`drop trigger data_key_goes_first`.execute(store.db))

    const attacks: Record<string, () => Promise<unknown>> = {
      "another owner's ciphertext": async () => {
        const { ciphertext, wrapped_key } = await byConnection(alice, 2)
        await store.db
          .updateTable('credentials')
          .set({ ciphertext, wrapped_key })
          .where('connection_id', '=', bob.connectionId)
          .execute()
      },
      "another owner's whole entry": async () => {
        await store.db.deleteFrom('credentials').where('connection_id', '=', bob.connectionId).execute()
        await store.db
          .updateTable('credentials')
          .set({ connection_id: bob.connectionId })
          .where('connection_id', '=', alice.connectionId)
          .where('version', '=', 1)
          .execute()
      },
      'a truncated ciphertext': () =>
        sql`update credentials set ciphertext = substr(ciphertext, 1, length(ciphertext) - 4)`.execute(store.db),
      'an empty ciphertext': () => store.db.updateTable('credentials').set({ ciphertext: '' }).execute(),
      'a changed data key': () =>
        sql`update credentials set wrapped_key = 'AAAA' || substr(wrapped_key, 5)`.execute(store.db),
      'an entry under another id': () =>
        store.db
          .updateTable('credentials')
          .set({ id: newId('credential') })
          .where('version', '=', 1)
          .where('connection_id', '=', bob.connectionId)
          .execute(),
      'an entry that says it is of another session': () =>
        store.db
          .updateTable('credentials')
          .set({ session_id: newId('session') })
          .where('connection_id', '=', bob.connectionId)
          .execute(),
      'a connection renamed to another provider': () =>
        store.db.updateTable('connections').set({ provider: 'bank' }).execute(),
    }

    test.each(Object.keys(attacks))('%s', async (name) => {
      expect((await readCredential(vault, bob.connectionId)).value).toEqual(value)
      await attacks[name]?.()
      await expect(readCredential(vault, bob.connectionId)).rejects.toMatchObject({ code: 'vault_unavailable' })
    })

    const rollbacks: Record<string, () => Promise<unknown>> = {
      "the old version's ciphertext in the new row": async () => {
        const { ciphertext, wrapped_key } = await byConnection(alice, 1)
        await store.db.updateTable('credentials').set({ ciphertext, wrapped_key }).where('version', '=', 2).execute()
      },
      'the old row renumbered': async () => {
        await store.db.deleteFrom('credentials').where('version', '=', 2).execute()
        await store.db
          .updateTable('credentials')
          .set({ version: 2 })
          .where('connection_id', '=', alice.connectionId)
          .execute()
      },
      'the newest row removed': () => store.db.deleteFrom('credentials').where('version', '=', 2).execute(),
      'the version of the connection turned back': () =>
        store.db.updateTable('connections').set({ version: 1 }).where('id', '=', alice.connectionId).execute(),
    }

    test.each(Object.keys(rollbacks))('rolled back: %s', async (name) => {
      expect((await readCredential(vault, alice.connectionId)).version).toBe(2)
      await rollbacks[name]?.()
      await expect(readCredential(vault, alice.connectionId)).rejects.toMatchObject({ code: 'vault_unavailable' })
    })

    test("an attacker's public sealing key", async () => {
      await vault.sealingKey('s1')
      const mine = await vault.sealingKey('s2')
      await store.db.updateTable('sealing_keys').set({ public_x: mine.x }).where('session_id', '=', 's1').execute()
      await expect(vault.sealingKey('s1')).rejects.toMatchObject({ code: 'vault_unavailable' })
    })
  })
})
