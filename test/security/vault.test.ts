import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { newToken, Scope } from '@anteroom/base'
import type { SealedPayload } from '@anteroom/contract'
import { sql } from 'kysely'
import { seal, TestVault } from '../../packages/controller/src/vault/test-vault.fixture.ts'
import { sampleSummary, sampleTokens } from '../../packages/controller/test/sample-credential.ts'
import { environmentOf, familyOf, findInMemory, needlesOf } from '../harness/process-memory.ts'
import { attemptTable, type Tally } from './harness/attempts.ts'

/** A vault with two people's credentials, two versions of each, and what an attacker who writes to the database does to it. */
async function attackRows(
  tally: Tally,
  attacks: Readonly<Record<string, (of: { world: TestVault; alice: string; bob: string }) => Promise<unknown>>>,
): Promise<void> {
  for (const [variant, attack] of Object.entries(attacks)) {
    const world = await TestVault.open()
    try {
      const [alice, bob] = [await world.keep('alice, version 1'), await world.keep('bob, version 1')]
      for (const id of [alice, bob]) await world.keep('version 2', id)
      // No trigger is in the way of whoever writes to the file.
      await sql`drop trigger data_key_goes_first`.execute(world.store.db)
      await attack({ world, alice, bob })
      await tally.try(variant, async () => {
        for (const read of ['at once', 'after a restart']) {
          const got = await world.vault.read(bob).catch(() => undefined)
          if (got) return `it was read ${read}`
          if (read === 'at once' && (await world.reopen().catch(() => undefined)) === undefined) return undefined
        }
        return undefined
      })
    } finally {
      await world.close()
    }
  }
}

const copy = (columns: readonly string[], from: string, fromVersion: number, to: string, toVersion: number) =>
  sql`update credentials set ${sql.join(
    columns.map(
      (column) =>
        sql`${sql.ref(column)} = (select ${sql.ref(column)} from credentials where connection_id = ${from} and version = ${fromVersion})`,
    ),
  )} where connection_id = ${to} and version = ${toVersion}`

const content = ['ciphertext', 'wrapped_key', 'wrapping_key_id', 'format'] as const

attemptTable('vault', [
  {
    id: 'A8',
    attempt: 'ciphertexts are swapped between connections',
    refusal: 'the data key does not unwrap: it is bound to its connection, owner, version and id (`vault_unavailable`)',
    run: (tally) =>
      attackRows(tally, {
        'the whole content of another’s entry': ({ world, alice, bob }) =>
          copy(content, alice, 2, bob, 2).execute(world.store.db),
        'another’s ciphertext under the own data key': ({ world, alice, bob }) =>
          copy(['ciphertext'], alice, 2, bob, 2).execute(world.store.db),
        'another’s data key': ({ world, alice, bob }) =>
          copy(['wrapped_key'], alice, 2, bob, 2).execute(world.store.db),
        'another’s whole row, moved': async ({ world, alice, bob }) => {
          await sql`delete from credentials where connection_id = ${bob}`.execute(world.store.db)
          await sql`update credentials set connection_id = ${bob} where connection_id = ${alice}`.execute(
            world.store.db,
          )
        },
        'the connection given to another subject': ({ world, bob }) =>
          sql`update connections set subject = 'mallory' where id = ${bob}`.execute(world.store.db),
        'the connection given to another provider': ({ world, bob }) =>
          sql`update connections set provider = 'bank' where id = ${bob}`.execute(world.store.db),
        'the entry given to another session': ({ world, bob }) =>
          sql`update credentials set session_id = session_id || 'x' where connection_id = ${bob}`.execute(
            world.store.db,
          ),
      }),
  },
  {
    id: 'A8',
    attempt: 'a credential is rolled back to an older version',
    refusal:
      'version, head and content no longer agree, the version was seen to be higher, or all connections together do not add up (`vault_unavailable`)',
    run: (tally) =>
      attackRows(tally, {
        'the old content in the new row': ({ world, bob }) => copy(content, bob, 1, bob, 2).execute(world.store.db),
        'the new row removed': ({ world, bob }) =>
          sql`delete from credentials where connection_id = ${bob} and version = 2`.execute(world.store.db),
        'the new row removed, and the connection’s number turned back': async ({ world, bob }) => {
          await sql`delete from credentials where connection_id = ${bob} and version = 2`.execute(world.store.db)
          await sql`update connections set version = 1 where id = ${bob}`.execute(world.store.db)
        },
        'the old row renumbered': async ({ world, bob }) => {
          await sql`delete from credentials where connection_id = ${bob} and version = 2`.execute(world.store.db)
          await sql`update credentials set version = 2 where connection_id = ${bob}`.execute(world.store.db)
        },
        'the number turned back alone': ({ world, bob }) =>
          sql`update connections set version = 1 where id = ${bob}`.execute(world.store.db),
        'the head of another connection': ({ world, alice, bob }) =>
          sql`update connections set head = (select head from connections where id = ${alice}) where id = ${bob}`.execute(
            world.store.db,
          ),
        'the form of before owners': ({ world, bob }) =>
          sql`update credentials set format = 1 where connection_id = ${bob}`.execute(world.store.db),
        'all rows of the connection as they were before': async ({ world, bob }) => {
          const { db } = world.store
          const connection = await db.selectFrom('connections').selectAll().where('id', '=', bob).execute()
          const credentials = await db.selectFrom('credentials').selectAll().where('connection_id', '=', bob).execute()
          await world.keep('version 3', bob)
          await db.deleteFrom('connections').where('id', '=', bob).execute()
          await db.insertInto('connections').values(connection).execute()
          await db.insertInto('credentials').values(credentials).execute()
        },
        'the count of changes turned back': async ({ world, bob }) => {
          await sql`update vault_state set sequence = 1`.execute(world.store.db)
          await sql`update connections set version = 1 where id = ${bob}`.execute(world.store.db)
        },
      }),
  },
  {
    id: 'A8',
    attempt: 'ciphertexts are cut, or a bit of them is changed',
    refusal: 'AES-256-GCM refuses what is not, to the bit, what was encrypted (`vault_unavailable`)',
    run: (tally) =>
      attackRows(
        tally,
        Object.fromEntries(
          (['ciphertext', 'wrapped_key'] as const).flatMap((column) => [
            ...[1, 4, 22, 60].map((cut) => [
              `${column}: the last ${cut} letters are missing`,
              ({ world }: { world: TestVault }) =>
                sql`update credentials set ${sql.ref(column)} = substr(${sql.ref(column)}, 1, length(${sql.ref(column)}) - ${cut})`.execute(
                  world.store.db,
                ),
            ]),
            ...[0, 0.3, 0.7, 0.95].map((place) => [
              `${column}: another letter at ${place} of it`,
              async ({ world }: { world: TestVault }) => {
                for (const row of await world.store.db.selectFrom('credentials').selectAll().execute()) {
                  const at = Math.floor(row[column].length * place)
                  const text = row[column]
                  const other = text[at] === 'A' ? 'B' : 'A'
                  const changed = text.slice(0, at) + other + text.slice(at + 1)
                  await world.store.db
                    .updateTable('credentials')
                    .set({ [column]: changed })
                    .where('id', '=', row.id)
                    .execute()
                }
              },
            ]),
          ]),
        ),
      ),
  },
  {
    id: 'A7',
    attempt:
      'a token that was stored and read is looked for in memory, environment and children of the edge and its vault',
    refusal: 'it passes as bytes that are overwritten: nothing is found, while what is no secret is',
    run: searchMemory,
  },
])

async function searchMemory(tally: Tally): Promise<void> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'harness/vault-edge.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  try {
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const answer = async () => JSON.parse(String((await answers.next()).value))
    const { session, connection, url, key, sealingKey } = await answer()
    const tokens = { access_token: newToken(), refresh_token: newToken(), id_token: newToken() }
    const payload: SealedPayload = {
      ...{ session_id: session, provider: 'demo', captured_at: '2026-11-20T10:00:00.000Z' },
      value: { ...sampleTokens, ...tokens },
    }
    child.stdin.write(`${JSON.stringify({ sealed: await seal(payload, sealingKey), summary: sampleSummary })}\n`)
    await answer()
    for (let n = 0; n < 5; n++) {
      const response = await fetch(`${url}/v1/connections/${connection}/credential`, {
        headers: { authorization: `Bearer ${key}`, connection: 'close' },
      })
      const { value } = (await response.json()) as { value: typeof tokens }
      if (value.access_token !== tokens.access_token) throw new Error('the token did not come')
    }
    const pid = child.pid ?? 0
    const seen = await findInMemory(pid, needlesOf('the connection', connection ?? ''))
    if (seen.length === 0) throw new Error('the search finds nothing at all')
    for (const member of await familyOf(pid)) {
      const environment = await environmentOf(member)
      for (const [name, token] of Object.entries(tokens))
        for (const needle of needlesOf(name, token)) {
          await tally.try(`${needle.name} in memory`, async () => {
            const [hit] = await findInMemory(member, [needle])
            return hit
          })
          await tally.try(`${needle.name} in the environment`, async () =>
            environment.includes(needle.bytes) ? 'it is there' : undefined,
          )
        }
    }
  } finally {
    await ended(child)
  }
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit')
  child.stdin?.end()
  await Scope.root('vault edge')
    .run({ name: 'the edge ends', deadlineMs: 20_000 }, () => exit)
    .catch(() => child.kill('SIGKILL'))
}
