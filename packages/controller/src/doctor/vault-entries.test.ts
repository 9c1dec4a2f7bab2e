import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestVault } from '../vault/test-vault.fixture.ts'
import { Ward } from './doctor.fixture.ts'

let ward: Ward
/** Of a controller on the same state directory. */
let vault: TestVault
beforeEach(async () => {
  ward = await Ward.open()
  vault = await TestVault.at(ward.home)
})
afterEach(async () => {
  await vault.store.close()
  await ward.close()
})

test('credentials that were stored open, and are counted', async () => {
  expect(await ward.check('vault_entries')).toMatchObject({ verdict: 'ok', found: 'nothing is stored yet' })
  for (const token of ['one', 'two']) await vault.keep(token)
  expect(await ward.check('vault_entries')).toMatchObject({ verdict: 'ok', found: 'all 2 credentials open' })
})

test('one that does not open, and one that nobody deleted and is gone, are found, and what to do is said', async () => {
  for (const token of ['one', 'two']) await vault.keep(token)
  const { db } = ward.store
  await sql`update credentials set ciphertext = 'AAAA' where id = (select min(id) from credentials)`.execute(db)
  expect(await ward.check('vault_entries')).toMatchObject({
    ...{ verdict: 'failed', found: expect.stringMatching(/^1 of 2 credentials do not open: ./) },
    remedy: expect.stringContaining('vault verify'),
  })
  await sql`drop trigger data_key_goes_first`.execute(db)
  await db.deleteFrom('connections').execute()
  expect(await ward.check('vault_entries')).toMatchObject({
    ...{ verdict: 'failed', found: expect.stringContaining('0 connections have a credential, and it should be 2') },
    remedy: expect.stringContaining('vault accept'),
  })
})
