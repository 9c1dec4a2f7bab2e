import { randomBytes } from 'node:crypto'
import { newId, Secret } from '@anteroom/base'
import { defaultProjectId } from '@anteroom/contract'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Db, openStore, type Store } from '../store/store.ts'
import { Heads } from './heads.ts'

/** Somebody writes each time when the count was read, `writes` times. */
class DisturbedHeads extends Heads {
  writes = 0

  override async state(db: Db): ReturnType<Heads['state']> {
    const state = await super.state(db)
    // In a transaction nobody can.
    if (db === store.db && this.writes-- > 0) await add(true)
    return state
  }
}

let store: Store
let heads: DisturbedHeads
beforeEach(async () => {
  store = await openStore(':memory:')
  heads = new DisturbedHeads(new Secret(randomBytes(32)))
  await store.transaction((tx) => heads.accept(tx, 1))
})
afterEach(() => store.close())

/** A connection with its first credential; `isCounted`: as the vault writes it. */
async function add(isCounted: boolean): Promise<void> {
  const [connectionId, entryId] = [newId('connection'), newId('credential')]
  const owner = { provider: 'demo', subject: connectionId, version: 1 }
  const head = heads.of({ connectionId, entryId, ...owner })
  await store.transaction(async (tx) => {
    const row = { id: connectionId, project_id: defaultProjectId, head, created_at: 1, updated_at: 1, ...owner }
    await tx.insertInto('connections').values(row).execute()
    const wrapped = { wrapping_key_id: 'wk', wrapped_key: '', ciphertext: '' }
    const about = { id: entryId, connection_id: connectionId, session_id: newId('session'), version: 1, format: 2 }
    await tx
      .insertInto('credentials')
      .values({ ...about, ...wrapped, captured_at: 1 })
      .execute()
    if (isCounted) await heads.change(tx, { come: head })
  })
}

test.each([0, 1, 3, 1000])(
  'what the vault writes %i times during a count is not taken for something put back',
  async (times) => {
    for (let n = 0; n < 3; n++) await add(true)
    heads.writes = times
    expect(await heads.audit(store)).toBeUndefined()
  },
)

test('what somebody else wrote is found beside those who write, too', async () => {
  await add(true)
  await add(false)
  for (const times of [0, 3, 1000]) {
    heads.writes = times
    expect(await heads.audit(store)).toMatch(/ connections have a credential, and it should be /)
  }
})
