import { newId, newToken } from '@anteroom/base'
import { type CreatedSession, defaultProjectId, type KeyScope, keyScopes } from '@anteroom/contract'
import { sql } from 'kysely'
import { afterAll, beforeAll } from 'vitest'
import {
  addressOf,
  bodyOf,
  comparable,
  forgedKeys,
  type Ids,
  idsOfNothing,
  newTenant,
  newThings,
  overKeys,
  statementsOf,
  tenantScopes,
} from '../../packages/controller/src/http/test/access-matrix.ts'
import { type ApiDocument, operationsOf } from '../../packages/controller/test/fuzz/api-operations.ts'
import { attemptTable, type Tally } from './harness/attempts.ts'
import { knock, openDoor } from './harness/live-door.ts'

let door: Awaited<ReturnType<typeof openDoor>>
/** What the attacker must not get at: things of another project, among them a session with a screen. */
let victim: Ids & { readonly secret: string; readonly projectId: string; readonly key: string }
let attacker: Awaited<ReturnType<typeof newTenant>>

beforeAll(async () => {
  door = await openDoor()
  const { projectId, key } = await newTenant(door.edge)
  const session = await door.readySession(projectId)
  await door.edge.fillVault(session, canary)
  const things = await newThings(door.edge, projectId)
  victim = {
    ...things,
    sessions: session.id,
    connections: session.connection_id ?? '',
    projectId,
    key,
    secret: session.secret,
  }
  attacker = await newTenant(door.edge)
})
afterAll(() => door.stop())

const canary = newToken()
const by = (key: string) => ({ authorization: `Bearer ${key}` })

interface Operation {
  readonly name: string
  readonly method: string
  readonly path: string
  /** As the description says it; undefined: nobody is asked who they are. */
  readonly scope: KeyScope | undefined
}

/** Of the description of the API, which another test holds against what is registered. */
function operations(): Operation[] {
  const document = door.edge.http.app.swagger() as unknown as ApiDocument
  return operationsOf(document).map(({ name, method, path, security = [] }) => {
    const scope = security.flatMap(({ key }) => key ?? [])[0]
    if (security.length > 0 && scope === undefined) throw new Error(`${name} does not say its scope`)
    return { name, method, path, scope: keyScopes.find((one) => one === scope) }
  })
}
const guarded = () => operations().filter(({ scope }) => scope !== undefined)
const ofProjects = () => guarded().filter(({ scope, path }) => scope !== 'operator' && path.includes('{id}'))

const ask = ({ method }: Pick<Operation, 'method'>, address: string, headers: Record<string, string>, body?: unknown) =>
  door.edge.call(method, address, body, headers)

/** Not an error of this test: who may must be let in, or all refusals would be worth nothing. */
async function mustOpen(answer: Promise<Response>): Promise<void> {
  const { status, url } = await answer
  if (status >= 400) throw new Error(`the rightful key was refused with ${status} at ${url}`)
}

/** Takes everything but these refusals for a way in. */
async function refusedWith(
  tally: Tally,
  variant: string,
  answer: Promise<Response>,
  codes: readonly string[],
): Promise<void> {
  await tally.try(variant, async () => {
    const { status, url, text } = await read(answer)
    const { code = '' } = status >= 400 ? (JSON.parse(text) as { code?: string }) : {}
    return codes.includes(code) && !text.includes(canary) ? undefined : `${url}: ${status} ${text.slice(0, 200)}`
  })
}

async function read(asked: Promise<Response>): Promise<{ status: number; url: string; text: string }> {
  const answer = await asked
  return { status: answer.status, url: answer.url, text: await bodyOf(answer) }
}

/** All that the database holds of the victim. */
async function victimsRows(): Promise<string> {
  const { db } = door.edge.store
  const { sessions, connections, keys, projectId } = victim
  const rows = await Promise.all([
    sql`select * from sessions where project_id = ${projectId} order by id`.execute(db),
    sql`select * from connections where project_id = ${projectId} order by id`.execute(db),
    sql`select * from credentials where connection_id = ${connections}`.execute(db),
    sql`select * from events where session_id = ${sessions} order by seq`.execute(db),
    sql`select * from tickets where session_id = ${sessions}`.execute(db),
    sql`select id, hash, previous_hash, revoked_at, expires_at from api_keys where id = ${keys}`.execute(db),
  ])
  return JSON.stringify(rows.map((found) => found.rows))
}

/** The attempts themselves, and that nothing of the victim's has changed by them. */
async function untouched(tally: Tally, attempts: () => Promise<void>): Promise<void> {
  const before = await victimsRows()
  await attempts()
  await tally.try('what it left of the victim', async () =>
    (await victimsRows()) === before ? undefined : 'rows of the victim have changed',
  )
}

const nobody: Readonly<Record<string, Record<string, string>>> = {
  nothing: { nobody: '' },
  'an empty header': { authorization: '' },
  'a bearer of nothing': { authorization: 'Bearer ' },
  'a name and a password': { authorization: 'Basic b3BlcmF0b3I6b3BlcmF0b3I=' },
  'cookies of nobody': { cookie: `anteroom_operator=${newToken()}; anteroom_visit=${newToken()}` },
  'headers that proxies are trusted for': {
    nobody: '',
    'x-forwarded-user': 'operator',
    'x-forwarded-for': '127.0.0.1',
  },
}

attemptTable('access', [
  {
    id: 'A2',
    attempt: 'every route is asked without a key, or with what is none',
    refusal: '`unauthenticated`',
    run: (tally) =>
      untouched(tally, async () => {
        for (const route of guarded())
          for (const [what, headers] of Object.entries(nobody))
            await refusedWith(tally, `${route.name}, ${what}`, ask(route, addressOf(route.path, victim), headers), [
              'unauthenticated',
            ])
        for (const query of ['key', 'access_token', 'api_key'])
          await refusedWith(
            tally,
            `a key in the query, ${query}`,
            door.edge.call('GET', `/v1/sessions?${query}=${victim.key}`, undefined, { nobody: '' }),
            ['unauthenticated'],
          )
      }),
  },
  {
    id: 'A2',
    attempt:
      'every route is asked with a key that is forged, was changed by a character, has expired, was revoked or rotated away',
    refusal: '`unauthenticated`, alike for each',
    run: (tally) =>
      untouched(tally, async () => {
        const keys = { ...forgedKeys(victim.key), ...(await overKeys(door.edge)) }
        const told = new Set<string>()
        for (const route of guarded())
          for (const [what, key] of Object.entries(keys)) {
            const address = addressOf(route.path, victim)
            await refusedWith(tally, `${route.name}, ${what}`, ask(route, address, by(key)), ['unauthenticated'])
            told.add(JSON.stringify(await comparable(await ask(route, address, by(key)))))
          }
        await tally.try('telling them apart', async () => (told.size === 1 ? undefined : [...told].join('\n')))
      }),
  },
  {
    id: 'A2',
    attempt: 'every route is asked with a key without its scope: with each other one, and with all others',
    refusal: '`forbidden`',
    run: (tally) =>
      untouched(tally, async () => {
        for (const route of guarded()) {
          const others = keyScopes.filter((scope) => scope !== route.scope)
          for (const scopes of [...others.map((scope) => [scope]), others]) {
            const key = await door.edge.keyOf(victim.projectId, ...scopes)
            const answer = ask(route, addressOf(route.path, victim), by(key))
            await refusedWith(tally, `${route.name}, ${scopes.join(' ')}`, answer, ['forbidden'])
          }
        }
      }),
  },
  {
    id: 'A2',
    attempt:
      'every route is asked for a thing of another project, and the answers are compared with those for an id of nothing',
    refusal: '`not_found`, byte for byte the same, by the same statements; `forbidden` for what is the operator’s',
    run: (tally) =>
      untouched(tally, async () => {
        await mustOpen(
          door.edge.call('GET', `/v1/connections/${victim.connections}/credential`, undefined, by(victim.key)),
        )
        for (const route of guarded().filter(({ path }) => path.includes('{id}'))) {
          const codes = route.scope === 'operator' ? ['forbidden'] : ['not_found']
          const answer = ask(route, addressOf(route.path, victim), by(attacker.key))
          await refusedWith(tally, `${route.name}, asked`, answer, codes)
        }
        for (const route of ofProjects()) {
          const seen = (ids: Ids) =>
            statementsOf(async () => await comparable(await ask(route, addressOf(route.path, ids), by(attacker.key))))
          await tally.try(`${route.name}, compared`, async () => {
            const [others, none] = [await seen(victim), await seen(idsOfNothing())]
            return JSON.stringify(others) === JSON.stringify(none) ? undefined : JSON.stringify({ others, none })
          })
        }
      }),
  },
  {
    id: 'A2',
    attempt:
      "another project's things are looked for in lists, and named in filters, cursors, bodies and an Idempotency-Key",
    refusal: 'no list has them; what is named is refused as what is not there is',
    run: (tally) =>
      untouched(tally, async () => {
        const asVictim = async (path: string, headers = {}) =>
          await (await door.edge.call('GET', path, undefined, { ...by(victim.key), ...headers })).json()
        const [first] = ((await asVictim('/v1/sessions')) as { items: CreatedSession[] }).items
        const { next_cursor } = (await asVictim('/v1/sessions?limit=1')) as { next_cursor: string }
        const queries = [
          '',
          `?project_id=${victim.projectId}`,
          `?subject=${first?.subject}`,
          '?provider=demo',
          '?limit=100',
        ]
        const lists = [
          ...queries.flatMap((query) => [`/v1/sessions${query}`, `/v1/connections${query}`]),
          ...[`/v1/sessions?cursor=${next_cursor}`, '/v1/sessions?status=ready', '/v1/providers'],
        ]
        for (const list of lists)
          await tally.try(`GET ${list.replaceAll(/=[^&]{12,}/g, '=…')}`, async () => {
            const { text } = await read(door.edge.call('GET', list, undefined, by(attacker.key)))
            const found = [victim.sessions, victim.connections, victim.projectId, canary].filter((mark) =>
              text.includes(mark),
            )
            return found.length === 0 ? undefined : found.join(' ')
          })
        const create = (body: object, key: string, headers = {}) =>
          door.edge.call('POST', '/v1/sessions', { provider: 'demo', ...body }, { ...by(key), ...headers })
        const connection = { subject: first?.subject, connection_id: victim.connections }
        await refusedWith(tally, 'a session for its connection', create(connection, attacker.key), ['invalid_request'])
        const headers = { 'idempotency-key': newToken() }
        // Of a third project, so that the victim's rows stay as they were.
        const other = await newTenant(door.edge)
        const made = (await (await create({ subject: 'ada' }, other.key, headers)).json()) as CreatedSession
        await tally.try('its Idempotency-Key', async () => {
          const got = (await (await create({ subject: 'ada' }, attacker.key, headers)).json()) as CreatedSession
          return got.id === made.id || got.connection_id === made.connection_id ? 'the same session' : undefined
        })
      }),
  },
  {
    id: 'A2',
    attempt:
      'every route is asked with the right key and a forged id: of nothing, of another kind, malformed, with more of a path',
    refusal: '`not_found`, `invalid_request`',
    run: (tally) =>
      untouched(tally, async () => {
        const all = door.edge.operatorKey
        for (const route of guarded().filter(({ path }) => path.includes('{id}'))) {
          const nothing = idsOfNothing()
          const at = (id: string) => ask(route, route.path.replace('{id}', id), by(all))
          await refusedWith(tally, `${route.name}, of nothing`, ask(route, addressOf(route.path, nothing), by(all)), [
            'not_found',
          ])
          const right =
            addressOf('/v1/{id}'.replace('{id}', `${route.path.split('/')[2]}/{id}`), victim)
              .split('/')
              .at(-1) ?? ''
          const forged: Record<string, string> = {
            'of another kind': `vm_${right.split('_')[1]}`,
            'in capitals': right.toUpperCase(),
            'one character short': right.slice(0, -1),
            'one character more': `${right}a`,
            'a wildcard': '%25',
            'a pattern': `${right.slice(0, -1)}_`,
            SQL: encodeURIComponent(`${right}' or '1'='1`),
            'an end of text': `${right}%00`,
            'a path above': `..%2f${right}`,
            'all of them': '*',
          }
          for (const [what, id] of Object.entries(forged))
            await refusedWith(tally, `${route.name}, ${what}`, at(id), ['invalid_request', 'not_found'])
        }
      }),
  },
  {
    id: 'A2',
    attempt:
      'a key with the scope `operator` or a page of the dashboard makes, or rotates, a key with more than it has; a tenant’s key makes any',
    refusal: '`forbidden`',
    run: (tally) =>
      untouched(tally, async () => {
        const cookie = { cookie: await door.edge.operatorVisit(), origin: door.edge.url, 'x-anteroom-request': '1' }
        const lesser = by(await door.edge.key('operator'))
        const more = await door.edge.keyOf(defaultProjectId, ...tenantScopes)
        const makers: [string, Record<string, string>, readonly KeyScope[]][] = [
          ['the scope operator alone', lesser, tenantScopes],
          ['the dashboard', cookie, ['credentials:read']],
          ['a tenant', by(attacker.key), [...keyScopes]],
        ]
        for (const [who, headers, scopes] of makers) {
          for (const scope of scopes) {
            const made = door.edge.call('POST', '/v1/keys', { name: 'more', scopes: [scope] }, headers)
            await refusedWith(tally, `${who} makes one with ${scope}`, made, ['forbidden'])
          }
          const rotated = door.edge.call('POST', `/v1/keys/key_${more.split('_')[1]}/rotate`, undefined, headers)
          await refusedWith(tally, `${who} rotates one`, rotated, ['forbidden'])
        }
        await mustOpen(door.edge.call('GET', '/v1/sessions', undefined, by(more)))
      }),
  },
  {
    id: 'A2',
    attempt:
      'every address is opened as a WebSocket without a key, with a forged one, with another project’s, and without its scope',
    refusal: 'the problem of the route before the upgrade; `invalid_request` where there is no WebSocket',
    run: (tally) =>
      untouched(tally, async () => {
        const noScope = await door.edge.keyOf(victim.projectId, 'connections:write')
        const askers: [string, Record<string, string>][] = [
          ['nobody', {}],
          ...Object.entries(forgedKeys(victim.key)).map(
            ([what, key]) => [what, by(key)] as [string, Record<string, string>],
          ),
          ['another project', by(attacker.key)],
          ['without the scope', by(noScope)],
          ['the right key', by(door.edge.operatorKey)],
        ]
        for (const { name, path, method } of operations())
          for (const [what, headers] of method === 'GET' ? askers : [])
            await tally.try(`${name}, ${what}`, async () => {
              const answer = await knock(`${door.edge.url.replace('http', 'ws')}${addressOf(path, victim)}`, headers)
              return answer === 'open' ? 'it was upgraded' : undefined
            })
      }),
  },
  {
    id: 'A2',
    attempt:
      'the live view is opened without a ticket, with another project’s, with keys instead of one, and tickets are asked for without the right',
    refusal: '`ticket_invalid`, `invalid_request`, `not_found`, `forbidden`, `unauthenticated`',
    run: (tally) =>
      untouched(tally, async () => {
        const own = await door.readySession(attacker.projectId)
        const ticket = await door.ticket(own.id, by(attacker.key))
        const knocks: [string, string, Record<string, string>][] = [
          ['without a ticket', door.addressOf(victim.sessions, ''), {}],
          ['with a guess', door.addressOf(victim.sessions, newToken()), {}],
          ['with a key for a ticket', door.addressOf(victim.sessions, victim.key), {}],
          ['with a ticket for another session', door.addressOf(victim.sessions, ticket), by(attacker.key)],
          ['with a ticket for an id of nothing', door.addressOf(newId('session'), ticket), by(attacker.key)],
          ['with the secret of the hosted page for a ticket', door.addressOf(victim.sessions, victim.secret), {}],
        ]
        for (const [what, address, headers] of knocks)
          await tally.try(what, async () => {
            const answer = await knock(address, headers)
            return ['ticket_invalid', 'invalid_request'].includes(answer) ? undefined : answer
          })
        const order = (headers: Record<string, string>) =>
          door.edge.call('POST', `/v1/sessions/${victim.sessions}/tickets`, { access: 'view' }, headers)
        await refusedWith(tally, 'asked for by nobody', order({ nobody: '' }), ['unauthenticated'])
        await refusedWith(tally, 'asked for by another project', order(by(attacker.key)), ['not_found'])
        const reader = await door.edge.keyOf(victim.projectId, 'sessions:read')
        await refusedWith(tally, 'asked for without the scope', order(by(reader)), ['forbidden'])
        const visitor = await door.edge.visitorOf(own)
        // Under the name that the browser has for it, and under that which would belong here.
        for (const cookie of [visitor, visitor.replace(/^[^=]+/, `anteroom_visit_${victim.sessions}`)]) {
          const page = { cookie, origin: door.edge.url, 'x-anteroom-request': '1' }
          const codes = cookie === visitor ? ['unauthenticated'] : ['not_found']
          await refusedWith(tally, `asked for by the person of another session, ${codes}`, order(page), codes)
        }
        // It was not used up by any of that, and opens what it is for.
        const answer = await knock(door.addressOf(own.id, ticket))
        if (answer !== 'open') throw new Error(`the rightful view was refused with ${answer}`)
      }),
  },
])
