import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type Log, newToken, silentLog } from '@anteroom/base'
import { liveCloseCodes } from '@anteroom/contract'
import { afterAll, beforeAll } from 'vitest'
import { WebSocket } from 'ws'
import { ManualClock } from '../../packages/controller/src/live/live.fixture.ts'
import { attemptTable, type Tally } from './harness/attempts.ts'
import { knock, openDoor } from './harness/live-door.ts'

/** Not an error of this test: a ticket that nobody has touched must open, or all refusals would be worth nothing. */
async function opens(address: string, headers: Record<string, string> = {}): Promise<void> {
  const answer = await knock(address, headers)
  if (answer !== 'open') throw new Error(`the rightful view was refused with ${answer}`)
}

const clock = new ManualClock()
const logged: string[] = []
const note = (fields: object, message: string): void => void logged.push(JSON.stringify({ ...fields, message }))
const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log }
let door: Awaited<ReturnType<typeof openDoor>>
let timed: Awaited<ReturnType<typeof openDoor>>
beforeAll(async () => {
  door = await openDoor({ log })
  timed = await openDoor({ clock, log: silentLog })
})
afterAll(async () => {
  await door.stop()
  const stopped = timed.stop()
  await clock.pass(10)
  await stopped
})

/** Knocks, and takes every answer but one of the expected refusals for a way in. */
const refusedWith =
  (tally: Tally, codes: readonly string[] = ['ticket_invalid']) =>
  (variant: string, address: string, headers: Record<string, string> = {}): Promise<void> =>
    tally.try(variant, async () => {
      const answer = await knock(address, headers)
      return codes.includes(answer) ? undefined : answer
    })

/** The cookie of an account owner who has read what it is about, and goes on. */
async function visitorOf(session: Parameters<typeof door.edge.visitorOf>[0]): Promise<{ cookie: string }> {
  const cookie = await door.edge.visitorOf(session)
  const own = { cookie, origin: door.edge.url, 'x-anteroom-request': '1' }
  const { status } = await door.edge.call('POST', `/v1/sessions/${session.id}/agree`, {}, own)
  if (status !== 204) throw new Error(`they could not agree: ${status}`)
  return { cookie }
}

/** A cookie of another session under the name that this session's has. */
const renamed = (cookie: string, id: string): string => cookie.replace(/^[^=]+/, `anteroom_visit_${id}`)

attemptTable('tickets', [
  {
    id: 'A1',
    attempt: 'a view ticket is used twice: one after the other, many at once, by the browser that it belongs to',
    refusal: '`ticket_invalid`: one opens, all others do not',
    async run(tally) {
      const refused = refusedWith(tally)
      for (const access of ['control', 'view']) {
        const { id } = await door.readySession()
        const address = door.addressOf(id, await door.ticket(id, {}, { access }))
        await opens(address)
        await refused(`one after the other, ${access}`, address)
      }
      const session = await door.readySession()
      const contended = door.addressOf(session.id, await door.ticket(session.id))
      const answers = await Promise.all(Array.from({ length: 25 }, () => knock(contended)))
      const [first, ...others] = answers.filter((answer) => answer === 'open')
      if (first === undefined) throw new Error('not even one was let in')
      for (const answer of answers.slice(1)) {
        if (others.pop() === undefined) tally.refused('at once')
        else tally.succeeded('at once', answer)
      }
      const visitor = await visitorOf(session)
      const address = door.addressOf(session.id, await door.ticket(session.id, visitor))
      await opens(address, visitor)
      await refused('by the same browser', address, visitor)
    },
  },
  {
    id: 'A1',
    attempt: 'a view ticket is used late',
    refusal: '`ticket_invalid`',
    async run(tally) {
      const refused = refusedWith(tally)
      const { id } = await timed.readySession()
      for (const ttl_seconds of [5, 30, 300]) {
        const [early, late] = [await timed.ticket(id, {}, { ttl_seconds }), await timed.ticket(id, {}, { ttl_seconds })]
        await clock.pass(ttl_seconds - 1)
        await opens(timed.addressOf(id, early))
        await clock.pass(1)
        await refused(`${ttl_seconds} s`, timed.addressOf(id, late))
      }
    },
  },
  {
    id: 'A1',
    attempt:
      'a view ticket is used after it was revoked, after its session ended, after whoever asked for it lost the right',
    refusal: '`ticket_invalid`, `session_over`; views that are open are closed with 4002',
    async run(tally) {
      const refused = refusedWith(tally, ['ticket_invalid', 'session_over'])
      const { edge } = door
      const session = await door.readySession()
      const visitor = await visitorOf(session)
      for (const [by, headers] of [
        ['a key', {}],
        ['the account owner', { ...visitor, origin: edge.url, 'x-anteroom-request': '1' }],
      ] as const) {
        const address = door.addressOf(session.id, await door.ticket(session.id))
        const open = new WebSocket(door.addressOf(session.id, await door.ticket(session.id)), 'binary')
        await once(open, 'message')
        const closed = once(open, 'close')
        await edge.call('DELETE', `/v1/sessions/${session.id}/tickets`, undefined, headers)
        await refused(`revoked by ${by}`, address)
        const [code] = await closed
        await tally.try(`open view, revoked by ${by}`, async () =>
          code === liveCloseCodes.ticket_revoked ? undefined : `closed with ${code}`,
        )
      }

      const made = await edge.call('POST', '/v1/keys', { name: 'of a leaver', scopes: ['sessions:write'] })
      const key = (await made.json()) as { id: string; secret: string }
      const bearer = { authorization: `Bearer ${key.secret}` }
      const ofKey = door.addressOf(session.id, await door.ticket(session.id, bearer))
      await edge.call('DELETE', `/v1/keys/${key.id}`)
      await refused('its key was revoked', ofKey)

      const operator = { cookie: await edge.operatorVisit() }
      const ofOperator = door.addressOf(session.id, await door.ticket(session.id, operator))
      await edge.call('POST', '/v1/operator/sign-out', {}, { ...operator, origin: edge.url, 'x-anteroom-request': '1' })
      await refused('the operator signed out', ofOperator, operator)

      const address = door.addressOf(session.id, await door.ticket(session.id))
      await edge.call('POST', `/v1/sessions/${session.id}/cancel`)
      await refused('the session was cancelled', address)
    },
  },
  {
    id: 'A1',
    attempt:
      "a view ticket is used by another principal than asked for it: without the cookie, with another's, with a key",
    refusal: '`ticket_invalid`, and the ticket still opens for its owner',
    async run(tally) {
      const refused = refusedWith(tally)
      const { edge } = door
      const [session, other] = [await door.readySession(), await door.readySession()]
      const [visitor, stranger] = [await visitorOf(session), await visitorOf(other)]
      const operators = [{ cookie: await edge.operatorVisit() }, { cookie: await edge.operatorVisit() }] as const
      const owned = [
        ['the account owner', visitor, { 'the operator': operators[0] }],
        ['the operator', operators[0], { 'another operator': operators[1], 'the account owner': visitor }],
      ] as const
      for (const [whose, owner, further] of owned) {
        const address = door.addressOf(session.id, await door.ticket(session.id, owner))
        const thieves: Record<string, Record<string, string>> = {
          nobody: {},
          'a forged cookie': { cookie: `anteroom_visit_${session.id}=${newToken()}` },
          'another account owner': stranger,
          'another account owner, by the name of this cookie': { cookie: renamed(stranger.cookie, session.id) },
          'a key with every scope': { authorization: `Bearer ${edge.operatorKey}` },
          ...further,
        }
        for (const [thief, headers] of Object.entries(thieves))
          await refused(`of ${whose}, by ${thief}`, address, headers)
        await opens(address, owner)
      }
    },
  },
  {
    id: 'A1',
    attempt: 'a view ticket is used for another session',
    refusal: '`ticket_invalid`',
    async run(tally) {
      const refused = refusedWith(tally)
      const [session, other] = [await door.readySession(), await door.readySession()]
      const visitor = await visitorOf(session)
      const both = `${visitor.cookie}; ${(await visitorOf(other)).cookie}`
      const ofKey = await door.ticket(session.id)
      await refused('of a key', door.addressOf(other.id, ofKey))
      const ofVisitor = await door.ticket(session.id, visitor)
      await refused('of a visitor', door.addressOf(other.id, ofVisitor), visitor)
      await refused('of a visitor of both', door.addressOf(other.id, ofVisitor), { cookie: both })
      await opens(door.addressOf(session.id, ofKey))
    },
  },
  {
    id: 'A1',
    attempt: 'a view ticket is guessed: at random, near a real one, its hash from a copy of the database',
    refusal: '`ticket_invalid`, `invalid_request`',
    async run(tally) {
      const refused = refusedWith(tally, ['ticket_invalid', 'invalid_request'])
      const { id } = await door.readySession()
      const real = await door.ticket(id)
      for (let guess = 0; guess < 100; guess++) await refused('at random', door.addressOf(id, newToken()))
      const near: Record<string, string> = {
        'one character less': real.slice(0, -1),
        'one character more': `${real}A`,
        'in another case': real === real.toLowerCase() ? real.toUpperCase() : real.toLowerCase(),
        'its hash': createHash('sha256').update(real).digest('hex'),
        'a wildcard': '%',
        'an expression': "' or 1=1 --",
        nothing: '',
        'very long': real.repeat(100),
      }
      for (const [variant, ticket] of Object.entries(near)) await refused(variant, door.addressOf(id, ticket))
      await refused('twice in one address', door.addressOf(id, newToken(), `&ticket=${newToken()}`))
      await opens(door.addressOf(id, real))
    },
  },
  {
    id: 'A1',
    attempt: 'a view ticket is looked for in the log and in Referer, and used from there',
    refusal: 'it is in neither; and it is worth nothing without the cookie',
    async run(tally) {
      const { edge } = door
      const refused = refusedWith(tally)
      const session = await door.readySession()
      const visitor = await visitorOf(session)
      const used = await door.ticket(session.id, visitor)
      const unused = await door.ticket(session.id, visitor)
      await opens(door.addressOf(session.id, used), visitor)
      await refused('used, from a log', door.addressOf(session.id, used))
      await refused('not used, from a log', door.addressOf(session.id, unused))
      const text = logged.join('\n')
      if (!text.includes('a live view opened')) throw new Error('nothing was logged')
      for (const [variant, ticket] of [
        ['used', used],
        ['not used', unused],
      ] as const)
        await tally.try(`${variant}, in the log`, async () => (text.includes(ticket) ? 'it is there' : undefined))
      for (const path of ['/', `/connect/${session.id}`, '/sign-in'])
        await tally.try(`Referer of ${path}`, async () => {
          const policy = (await edge.call('GET', path, undefined, { nobody: '' })).headers.get('referrer-policy')
          return policy === 'no-referrer' ? undefined : `the policy is ${policy}`
        })
    },
  },
  {
    id: 'A1',
    attempt: 'a view is opened again with a used ticket by another browser, after revocation, or before its first use',
    refusal: '`ticket_invalid`: only the cookie that it belongs to',
    async run(tally) {
      const refused = refusedWith(tally)
      const session = await door.readySession()
      const [visitor, stranger] = [await visitorOf(session), await visitorOf(await door.readySession())]
      const ticket = await door.ticket(session.id, visitor)
      const again = door.addressOf(session.id, ticket, '&reconnect=1')
      await refused('before its first use', again, visitor)
      await opens(door.addressOf(session.id, ticket), visitor)
      await opens(again, visitor)
      await refused('without the cookie', again)
      await refused('with another cookie', again, stranger)
      await refused('with another cookie by the name of this one', again, {
        cookie: renamed(stranger.cookie, session.id),
      })
      await refused('with the cookie of the operator', again, { cookie: await door.edge.operatorVisit() })
      const ofKey = await door.ticket(session.id)
      await opens(door.addressOf(session.id, ofKey))
      await refused('of a key', door.addressOf(session.id, ofKey, '&reconnect=1'))
      await door.edge.call('DELETE', `/v1/sessions/${session.id}/tickets`)
      await refused('after revocation', again, visitor)
    },
  },
  {
    id: 'A1',
    attempt:
      "a view ticket is used by a page of another origin, or by another one than the integrator's that it is for",
    refusal: '`origin_refused`, `ticket_invalid`',
    async run(tally) {
      const refused = refusedWith(tally, ['origin_refused', 'ticket_invalid'])
      const { id } = await door.readySession()
      const origin = 'https://app.example.com'
      const strangers = ['http://evil.test', 'https://app.example.com.evil.test', 'http://app.example.com', 'null']
      const ownPages = door.addressOf(id, await door.ticket(id))
      const integrators = door.addressOf(id, await door.ticket(id, {}, { origin }))
      for (const stranger of [...strangers, origin])
        await refused(`for our pages, from ${stranger}`, ownPages, { origin: stranger })
      for (const stranger of [...strangers, door.edge.url])
        await refused(`for ${origin}, from ${stranger}`, integrators, { origin: stranger })
      await refused(`for ${origin}, from a program`, integrators)
      await opens(ownPages, { origin: door.edge.url })
      await opens(integrators, { origin })
    },
  },
  {
    id: 'A1',
    attempt:
      "keyboard and mouse of an account owner's screen are taken without consent, by the operator, by keys, by whoever was refused",
    refusal: '`control_needs_consent`, `forbidden`, `rate_limited`; they see the screen, and no more',
    async run(tally) {
      const { edge } = door
      const session = await door.readySession()
      const early = await door.ticket(session.id, {}, { access: 'control' })
      const visitor = await visitorOf(session)
      const operator = { cookie: await edge.operatorVisit() }
      const bearer = { authorization: `Bearer ${await edge.key('sessions:write', 'sessions:read')}` }
      const own = { origin: edge.url, 'x-anteroom-request': '1' }
      const path = `/v1/sessions/${session.id}`
      const refusedCall = (
        variant: string,
        codes: string[],
        call: string,
        body: object,
        headers: Record<string, string>,
      ) =>
        tally.try(variant, async () => {
          const answer = await edge.call('POST', `${path}/${call}`, body, { ...own, ...headers })
          const { code = `status ${answer.status}` } = (await answer.json()) as { code?: string }
          return codes.includes(code) ? undefined : code
        })
      await refusedWith(tally, ['control_needs_consent'])(
        'asked for before they came',
        door.addressOf(session.id, early),
      )

      const view = async (headers: Record<string, string>, access: 'control' | 'view') => {
        const answer = await edge.call('POST', `${path}/tickets`, { access }, { ...own, ...headers })
        const { ticket, viewer_id } = (await answer.json()) as { ticket: string; viewer_id: string }
        const socket = new WebSocket(door.addressOf(session.id, ticket), 'binary', { headers })
        let bytes = 0
        const isShown = new Promise<void>((resolve) => {
          socket.on('message', (data: Buffer) => {
            bytes += data.length
            if (bytes > 18) resolve()
          })
        })
        await once(socket, 'open')
        socket.send(Buffer.from('RFB 003.008\n\x01\x01', 'latin1'))
        await isShown
        return { socket, viewer_id }
      }
      const owner = await view(visitor, 'control')
      for (const [who, headers] of [
        ['the operator', operator],
        ['a key', bearer],
      ] as const) {
        await refusedCall(`a ticket for ${who}`, ['control_needs_consent'], 'tickets', { access: 'control' }, headers)
        const { viewer_id, socket } = await view(headers, 'view')
        const give = { give: true }
        await refusedCall(`${who} to itself`, ['forbidden'], `viewers/${viewer_id}/control`, give, headers)
        await refusedCall(`${who} asks for the owner`, ['forbidden'], `viewers/${owner.viewer_id}/ask`, {}, headers)
        await edge.call('POST', `${path}/viewers/${viewer_id}/ask`, {}, { ...own, ...headers })
        await edge.call('POST', `${path}/viewers/${viewer_id}/control`, { give: false }, { ...own, ...visitor })
        await refusedCall(`${who} asks again at once`, ['rate_limited'], `viewers/${viewer_id}/ask`, {}, headers)
        const seen = await edge.call('GET', `${path}/viewers`, undefined, visitor)
        const { viewers } = (await seen.json()) as { viewers: { id: string; access: string }[] }
        await tally.try(`${who} has control after all`, async () =>
          viewers.some(({ id, access }) => access === 'control' && id !== owner.viewer_id) ? 'control' : undefined,
        )
        socket.terminate()
      }
      owner.socket.terminate()
    },
  },
])
