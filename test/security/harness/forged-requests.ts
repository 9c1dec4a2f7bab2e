import type { Page } from 'playwright-core'
import type { Tally } from './attempts.ts'
import type { WebWorld } from './web-world.ts'

/** All that requests of the two people could have changed. */
async function stateOf(world: WebWorld): Promise<string> {
  const { db } = world.door.edge.store
  const rows = await Promise.all([
    db.selectFrom('sessions').selectAll().orderBy('id').execute(),
    db.selectFrom('connections').selectAll().orderBy('id').execute(),
    db.selectFrom('cookies').select('hash').orderBy('hash').execute(),
    db.selectFrom('api_keys').select(['id', 'scopes']).orderBy('id').execute(),
    db.selectFrom('tickets').select('hash').orderBy('hash').execute(),
  ])
  return JSON.stringify(rows)
}

/** What a page of another origin can send; gives what it could read of the answer. */
async function forge(page: Page, kind: string, url: string, body: string): Promise<string> {
  return await page.evaluate(
    async ([how, target, text]) => {
      const read = async (init: RequestInit): Promise<string> => {
        const answer = await fetch(target, { method: 'POST', credentials: 'include', body: text, ...init })
        return await answer.text()
      }
      try {
        if (how === 'beacon') return navigator.sendBeacon(target, text) ? '' : 'not sent'
        if (how === 'plain text') return await read({ headers: { 'content-type': 'text/plain' } })
        if (how === 'no body') return await read({ mode: 'no-cors', body: null })
        if (how === 'a body of no type') return await read({ mode: 'no-cors', body: new Blob([text]) })
        if (how === 'no-cors') return await read({ mode: 'no-cors' })
        if (how === 'JSON') return await read({ headers: { 'content-type': 'application/json' } })
        if (how === 'own header')
          return await read({ headers: { 'content-type': 'application/json', 'x-anteroom-request': '1' } })
        if (how === 'DELETE') return await read({ method: 'DELETE', body: null })
        return await read({ method: 'GET', body: null })
      } catch {
        return ''
      }
    },
    [kind, url, body] as const,
  )
}

const bodies: Record<string, string> = {
  '/v1/sessions': '{"provider":"demo","subject":"mallory"}',
  '/v1/keys': '{"name":"mallory","scopes":["operator"]}',
}

export async function tryForgeries(world: WebWorld, tally: Tally, host: string): Promise<void> {
  const { context, session } = await world.victim()
  const page = await world.evilPage(context, host)
  const own = `/v1/sessions/${session.id}`
  const changes = ['cancel', 'capture', 'agree', 'extend', 'tickets'].map((what) => `${own}/${what}`)
  const before = await stateOf(world)
  for (const path of [...changes, '/v1/sessions', '/v1/keys', '/v1/operator/sign-out', '/v1/doctor'])
    for (const kind of [
      'beacon',
      'no body',
      'a body of no type',
      'plain text',
      'no-cors',
      'JSON',
      'own header',
      'DELETE',
    ])
      await tally.try(`${kind} from ${host}`, async () => {
        const told = await forge(page, kind, world.door.edge.url + path, bodies[path] ?? '{}')
        if (told !== '') return `${path} was answered: ${told}`
        return (await stateOf(world)) === before ? undefined : `${path} changed something`
      })
  for (const path of [own, `${own}/page`, '/v1/sessions', '/v1/keys', '/v1/operator'])
    await tally.try(`read from ${host}`, async () => {
      const told = await forge(page, 'GET', world.door.edge.url + path, '')
      return told === '' ? undefined : `${path}: ${told}`
    })
  await context.close()
}

export async function tryForms(world: WebWorld, tally: Tally, host: string): Promise<void> {
  const { context, session } = await world.victim()
  const page = await world.evilPage(context, host)
  const before = await stateOf(world)
  for (const enctype of ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain'])
    for (const [path, name] of [
      [`/v1/sessions/${session.id}/cancel`, '{"a":"'],
      ['/v1/sessions', '{"provider":"demo","subject":"mallory","x":"'],
      ['/v1/operator/sign-out', 'a'],
    ] as const)
      await tally.try(`a form as ${enctype} from ${host}`, async () => {
        const [status] = await Promise.all([
          world.answerTo(path),
          page.evaluate(
            (how) => {
              // The answer goes into a frame of its own: one that is still busy with another drops the form.
              const frame = document.body.appendChild(document.createElement('iframe'))
              frame.name = `answer ${document.forms.length}`
              const form = document.body.appendChild(document.createElement('form'))
              const field = form.appendChild(document.createElement('input'))
              Object.assign(field, { name: how.name, value: '"}' })
              Object.assign(form, { method: 'post', target: frame.name, action: how.action, enctype: how.enctype })
              form.submit()
            },
            { enctype, name, action: world.door.edge.url + path },
          ),
        ])
        if (status < 400) return `${path} was answered with ${status}`
        return (await stateOf(world)) === before ? undefined : `${path} changed something`
      })
  await context.close()
}

/** What came of a WebSocket that a page opens. */
const socketFrom = (page: Page, url: string): Promise<string> =>
  page.evaluate(
    (target) =>
      new Promise<string>((resolve) => {
        const socket = new WebSocket(target, ['binary'])
        socket.onopen = () => resolve('open')
        socket.onerror = () => resolve('refused')
        socket.onclose = () => resolve('refused')
      }),
    url,
  )

export async function trySockets(world: WebWorld, tally: Tally, host: string): Promise<void> {
  const { context, session } = await world.victim()
  const page = await world.evilPage(context, host)
  const { door } = world
  const stolen = await door.ticket(session.id, { cookie: await door.edge.operatorVisit() })
  for (const [variant, address] of [
    ['without a ticket', door.addressOf(session.id, '')],
    ['with a ticket that is none', door.addressOf(session.id, 'guessed')],
    ["with the operator's ticket", door.addressOf(session.id, stolen)],
    ['to the events', `${door.edge.url.replace('http', 'ws')}/v1/sessions/${session.id}/events`],
  ] as const)
    await tally.try(`a WebSocket ${variant} from ${host}`, async () => {
      const answer = await socketFrom(page, address)
      return answer === 'refused' ? undefined : answer
    })
  await context.close()
}
