import { newId } from '@anteroom/base'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Db, type NewRow, notEnded, openStore, type Reach, requireReached, type Store, within } from './store.ts'

let store: Store
beforeEach(async () => {
  store = await openStore(':memory:')
})
afterEach(() => store.close())

interface Inhabited {
  readonly projectId: string
  readonly session: string
  readonly connection: string
  readonly reach: Reach
}

const sessionRow = (project_id: string, id = newId('session')): NewRow<'sessions'> => ({
  ...{ id, project_id, version: 1, status: 'queued', provider: 'demo', provider_definition: '{}', subject: 'ada' },
  ...{ entry_hash: 'hash', capture_requested: 0, attempt: 0, not_before: 0, created_at: 1, expires_at: 2 },
})
const connectionRow = (project_id: string, id = newId('connection')): NewRow<'connections'> => ({
  ...{ id, project_id, provider: 'demo', subject: 'ada', version: 1, created_at: 1, updated_at: 1 },
})

/** A project with a row in every table, all with the same words in them. */
async function inhabit(slot_index: number): Promise<Inhabited> {
  const { db } = store
  const projectId = newId('project')
  const [session, connection] = [newId('session'), newId('connection')]
  await db.insertInto('projects').values({ id: projectId, name: 'a project', created_at: 1 }).execute()
  await db.insertInto('connections').values(connectionRow(projectId, connection)).execute()
  await db.insertInto('sessions').values(sessionRow(projectId, session)).execute()
  await db.insertInto('stages').values({ session_id: session, name: 'queue', started_at: 1 }).execute()
  await db.insertInto('events').values({ session_id: session, type: 'created', at: 1, data: '{}' }).execute()
  await db
    .insertInto('tickets')
    .values({ hash: newId('ticket'), session_id: session, access: 'view', principal: 'p', expires_at: 9 })
    .execute()
  await db
    .insertInto('machines')
    .values({
      ...{ id: newId('machine'), session_id: session, image_id: 'img', slot_kind: 'user', slot_index },
      ...{ vm_ip: `127.0.0.${slot_index}`, accelerator: 'tcg', created_at: 1 },
    })
    .execute()
  await db
    .insertInto('credentials')
    .values({
      ...{ id: newId('credential'), connection_id: connection, version: 1, session_id: session },
      // Of the form that may be deleted.
      ...{ ciphertext: 'c', wrapped_key: 'w', wrapping_key_id: 'k', captured_at: 1, format: 0 },
    })
    .execute()
  return { projectId, session, connection, reach: { projectId } }
}

const tables = ['sessions', 'connections', 'stages', 'events', 'tickets', 'machines', 'credentials'] as const
const count = async (db: Db, table: (typeof tables)[number]): Promise<number> =>
  (await db.selectFrom(table).selectAll().execute()).length

describe('two projects that hold the same', () => {
  let mine: Inhabited
  let other: Inhabited
  let db: Db
  beforeEach(async () => {
    ;[mine, other] = [await inhabit(1), await inhabit(2)]
    db = within(store.db, mine.reach)
  })

  test.each(tables)('see their own %s, and change and delete no other', async (table) => {
    expect(await count(store.db, table)).toBe(2)
    expect(await count(db, table)).toBe(1)
    const own = table === 'connections' || table === 'credentials' ? mine.connection : mine.session
    expect(JSON.stringify(await db.selectFrom(table).selectAll().execute())).toContain(own)
    // What refers to sessions goes first.
    if (table === 'sessions') await store.db.deleteFrom('machines').execute()
    const { numDeletedRows } = await db.deleteFrom(table).executeTakeFirstOrThrow()
    expect([numDeletedRows, await count(store.db, table)]).toEqual([1n, 1])
  })

  test('nothing is found by an id of the other, and nothing changed', async () => {
    const byId = db.selectFrom('sessions').select('id')
    expect(await byId.where('id', '=', other.session).execute()).toEqual([])
    expect(await byId.where('id', '=', mine.session).execute()).toEqual([{ id: mine.session }])
    const rename = db.updateTable('sessions').set({ subject: 'eve' })
    expect(await rename.where('id', '=', other.session).executeTakeFirst()).toEqual({ numUpdatedRows: 0n })
    expect(await rename.where('id', '=', mine.session).returning('id').execute()).toEqual([{ id: mine.session }])
    expect(await rename.executeTakeFirst()).toEqual({ numUpdatedRows: 1n })
  })

  test('an `or` lets nothing through, however it is written', async () => {
    const all = db.selectFrom('sessions').select('id')
    for (const query of [
      all.where(sql<boolean>`1 = 1 or 1 = 1`),
      all.where((eb) => eb.or([eb('subject', '=', 'ada'), eb('id', '=', other.session)])),
      all.where(sql<boolean>`1`).where((eb) => eb.not(eb('id', '=', mine.session)).or(sql<boolean>`1`)),
      all.where(notEnded).where('status', 'in', ['queued']),
    ])
      expect(await query.execute()).toEqual([{ id: mine.session }])
    expect(
      await db.updateTable('sessions').set({ subject: 'eve' }).where(sql<boolean>`0 or 1`).executeTakeFirst(),
    ).toEqual({ numUpdatedRows: 1n })
  })

  test('neither do joins, subqueries, unions and aliases', async () => {
    const { reach, session, connection } = mine
    expect(reach).toEqual({ projectId: mine.projectId })
    const inner = db.selectFrom('stages as t').innerJoin('sessions as s', (join) => join.on(sql<boolean>`1 or 0`))
    expect(await inner.select(['t.session_id', 's.id']).execute()).toEqual([{ session_id: session, id: session }])
    const outer = db.selectFrom('connections as c').leftJoin('credentials as v', 'v.connection_id', 'c.id')
    expect(await outer.select(['c.id', 'v.connection_id']).execute()).toEqual([
      { id: connection, connection_id: connection },
    ])
    const derived = db.selectFrom('sessions').select('id').as('recent')
    expect(await db.selectFrom(derived).select('recent.id').execute()).toEqual([{ id: session }])
    const isThere = db
      .selectFrom('sessions')
      .select((eb) =>
        eb.exists(eb.selectFrom('connections').select('id').where('id', '=', other.connection)).as('found'),
      )
    expect(await isThere.execute()).toEqual([{ found: 0 }])
    const both = db.selectFrom('sessions').select('id').union(db.selectFrom('connections').select('id'))
    expect((await both.execute()).map(({ id }) => id).toSorted()).toEqual([session, connection].toSorted())
    const counted = db.selectFrom('events').select(({ fn }) => fn.countAll<number>().as('n'))
    expect(await counted.executeTakeFirst()).toEqual({ n: 1 })
  })

  test('an outer join keeps its rows where the other table has none within reach', async () => {
    await store.db.deleteFrom('credentials').where('connection_id', '=', mine.connection).execute()
    const outer = db.selectFrom('connections as c').leftJoin('credentials as v', (join) => join.onTrue())
    expect(await outer.select(['c.id', 'v.connection_id']).execute()).toEqual([
      { id: mine.connection, connection_id: null },
    ])
  })

  test('in a transaction it is the same', async () => {
    await store.transaction(async (tx) => {
      expect(await count(within(tx, mine.reach), 'sessions')).toBe(1)
      expect(await count(tx, 'sessions')).toBe(2)
    })
  })

  test('rows are made in the own project only, and none is moved to another', async () => {
    const insert = (row: NewRow<'sessions'>) => db.insertInto('sessions').values(row).execute()
    await insert(sessionRow(mine.projectId))
    await expect(insert(sessionRow(other.projectId))).rejects.toThrow('of another project')
    const mixed = [sessionRow(mine.projectId), sessionRow(other.projectId)]
    await expect(db.insertInto('sessions').values(mixed).execute()).rejects.toThrow('of another project')
    const { project_id: _, ...without } = sessionRow(mine.projectId)
    await expect(insert(without as NewRow<'sessions'>)).rejects.toThrow('without a project')
    const copy = db
      .insertInto('sessions')
      .columns(['id', 'project_id'])
      .expression((eb) => eb.selectFrom('sessions').select(['id', 'project_id']))
    await expect(copy.execute()).rejects.toThrow('without a project')
    const move = db.updateTable('connections').set({ project_id: other.projectId })
    await expect(move.execute()).rejects.toThrow('to move a row')
    const taken = { ...sessionRow(mine.projectId), id: other.session }
    const replace = db.replaceInto('sessions').values(taken)
    const orReplace = db.insertInto('sessions').orReplace().values(taken)
    const upsert = db.insertInto('sessions').values(taken)
    const onId = upsert.onConflict((conflict) => conflict.column('id').doUpdateSet({ subject: 'eve' }))
    for (const query of [replace, orReplace, onId]) await expect(query.execute()).rejects.toThrow('to replace rows')
    const again = { ...connectionRow(mine.projectId), subject: 'ada' }
    const onConflict = db
      .insertInto('connections')
      .values(again)
      .onConflict((conflict) => conflict.doNothing())
    expect(await onConflict.executeTakeFirst()).toMatchObject({ numInsertedOrUpdatedRows: 0n })
  })

  test.each(['stages', 'events', 'tickets', 'machines', 'credentials'] as const)(
    'no %s are made for a row that somebody has only the id of',
    async (table) => {
      const row = await store.db.selectFrom(table).selectAll().executeTakeFirstOrThrow()
      await expect(
        db
          .insertInto(table)
          .values(row as never)
          .execute(),
      ).rejects.toThrow(`to insert into ${table}`)
    },
  )

  test.each(['api_keys', 'projects', 'cookies', 'sign_in_links', 'idempotency', 'sealing_keys'] as const)(
    'the table %s is within nobody’s reach',
    async (table) => {
      await expect(db.selectFrom(table).selectAll().execute()).rejects.toThrow(`the table ${table}`)
      await expect(db.deleteFrom(table).execute()).rejects.toThrow(`the table ${table}`)
      const inner = db.selectFrom('sessions').where((eb) => eb.exists(eb.selectFrom(table).selectAll()))
      await expect(inner.selectAll().execute()).rejects.toThrow(`the table ${table}`)
    },
  )

  test('raw statements are refused, and fragments that read more', async () => {
    await expect(sql`select * from sessions`.execute(db)).rejects.toThrow('not within reach')
    const fragment = sql<string>`(select id from sessions where id = ${other.session})`
    await expect(db.selectFrom('sessions').select(fragment.as('x')).execute()).rejects.toThrow('a raw fragment')
    await expect(db.selectFrom(sql.table('sessions').as('s') as never).execute()).rejects.toThrow('not within reach')
    const named = db.with('all_of_them', (inner) => inner.selectFrom('sessions').select('id'))
    await expect(named.selectFrom('all_of_them').select('id').execute()).rejects.toThrow('the table all_of_them')
    await expect(db.schema.dropTable('sessions').execute()).rejects.toThrow('not within reach')
    const { session } = mine
    const joins = [
      db.selectFrom('sessions').crossJoin('connections').select('sessions.id'),
      db
        .selectFrom('sessions')
        .rightJoin('connections', (join) => join.on('sessions.id', '=', session))
        .select('connections.id'),
      db
        .selectFrom('sessions')
        .fullJoin('connections', (join) => join.on('sessions.id', '=', session))
        .select('connections.id'),
    ]
    for (const join of joins) await expect(join.execute()).rejects.toThrow('a join of the kind')
    const withSchema = db.withSchema('main').selectFrom('sessions').selectAll()
    await expect(withSchema.execute()).rejects.toThrow('not within reach')
  })

  test('what is not there and what is another’s are refused alike, by the same statement', async () => {
    const refusals = await Promise.all(
      [newId('session'), other.session].map((id) =>
        requireReached(store.db, mine.reach, 'sessions', id).catch(({ code, message }) => ({ code, message })),
      ),
    )
    expect(refusals[0]).toEqual(refusals[1])
    expect(refusals[0]).toMatchObject({ code: 'not_found' })
    await requireReached(store.db, mine.reach, 'sessions', mine.session)
    await requireReached(store.db, 'everything', 'connections', other.connection)
  })

  describe('the person in front of one session', () => {
    const person = () => within(store.db, { sessionId: mine.session })

    test('gets at that and what belongs to it', async () => {
      for (const table of ['sessions', 'stages', 'events', 'tickets', 'machines'] as const)
        expect(await count(person(), table)).toBe(1)
      await store.db.insertInto('sessions').values(sessionRow(mine.projectId)).execute()
      expect(await count(db, 'sessions')).toBe(2)
      expect(await count(person(), 'sessions')).toBe(1)
    })

    test('and neither at connections nor credentials, and makes no session', async () => {
      for (const table of ['connections', 'credentials'] as const)
        await expect(count(person(), table)).rejects.toThrow('in front of one session')
      const insert = person().insertInto('sessions').values(sessionRow(mine.projectId))
      await expect(insert.execute()).rejects.toThrow('to insert into sessions')
    })
  })
})
