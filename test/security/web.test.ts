import { request } from 'node:http'
import type { CreatedSession, SessionEnd } from '@anteroom/contract'
import type { Frame, Page } from 'playwright-core'
import { afterAll, beforeAll } from 'vitest'
import { attemptTable, type Tally } from './harness/attempts.ts'
import { innocentReturns, otherReturns } from './harness/return-notations.ts'
import { evilHosts, openWebWorld, type WebWorld } from './harness/web-world.ts'

let world: WebWorld
beforeAll(async () => {
  world = await openWebWorld({ return_origins: ['https://app.example.com', 'http://localhost:3000'] })
})
afterAll(() => world?.stop())

/** All that requests of the two people could have changed. */
async function stateOf(): Promise<string> {
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

async function tryForgeries(tally: Tally, host: string): Promise<void> {
  const { context, session } = await world.victim()
  const page = await world.evilPage(context, host)
  const own = `/v1/sessions/${session.id}`
  const changes = ['cancel', 'capture', 'agree', 'extend', 'tickets'].map((what) => `${own}/${what}`)
  const before = await stateOf()
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
        return (await stateOf()) === before ? undefined : `${path} changed something`
      })
  for (const path of [own, `${own}/page`, '/v1/sessions', '/v1/keys', '/v1/operator'])
    await tally.try(`read from ${host}`, async () => {
      const told = await forge(page, 'GET', world.door.edge.url + path, '')
      return told === '' ? undefined : `${path}: ${told}`
    })
  await context.close()
}

async function tryForms(tally: Tally, host: string): Promise<void> {
  const { context, session } = await world.victim()
  // The answers go into a frame, so that the page stays.
  const page = await world.evilPage(
    context,
    host,
    '<iframe name=there></iframe><form method=post target=there><input></form>',
  )
  const before = await stateOf()
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
              const [form] = document.forms
              const [field] = document.getElementsByTagName('input')
              if (!form || !field) throw new Error('no form')
              Object.assign(field, { name: how.name, value: '"}' })
              Object.assign(form, { action: how.action, enctype: how.enctype }).submit()
            },
            { enctype, name, action: world.door.edge.url + path },
          ),
        ])
        if (status < 400) return `${path} was answered with ${status}`
        return (await stateOf()) === before ? undefined : `${path} changed something`
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
      }),
    url,
  )

async function trySockets(tally: Tally, host: string): Promise<void> {
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

/** Did the frame show a page of ours? A browser that refuses one puts a page of its own in the place. */
const isShown = (frame: Frame): Promise<boolean> => frame.evaluate(() => document.getElementById('root') !== null)

const elements: Record<string, (url: string) => string> = {
  iframe: (url) => `<iframe src="${url}"></iframe>`,
  object: (url) => `<object data="${url}" type="text/html"></object>`,
  embed: (url) => `<embed src="${url}" type="text/html">`,
}

/** By element and path: what a page at `host` shows of ours when it has all of them in it. */
async function framesAt(host: string, paths: readonly string[]): Promise<[string, boolean][]> {
  const { context } = await world.victim()
  const { url } = world.door.edge
  const html = paths.flatMap((path) => Object.values(elements).map((element) => element(url + path))).join('')
  const page = await world.evilPage(context, host, html)
  await page.waitForLoadState('networkidle')
  const kinds = paths.flatMap((path) => Object.keys(elements).map((element) => `${element} of ${path} at ${host}`))
  const shown = await Promise.all(
    (await page.$$('iframe, object, embed')).map(async (element) => {
      const frame = await element.contentFrame()
      return frame !== null && (await isShown(frame))
    }),
  )
  await context.close()
  return kinds.map((kind, at) => [kind, shown[at] ?? true])
}

const scripts = [
  '<script>window.hacked=1</script>',
  '<img src=x onerror="window.hacked=1">',
  '"><svg onload="window.hacked=1">',
  `'-window.hacked=1-'`,
  '</title><script>window.hacked=1</script>',
  '{{constructor.constructor("window.hacked=1")()}}',
  'javascript:window.hacked=1',
  '<a href="javascript:window.hacked=1" autofocus onfocus="window.hacked=1">x</a>',
  '<style>@import "http://evil.test/"</style>',
  '<iframe srcdoc="<script>parent.hacked=1</script>"></iframe>',
] as const

/** undefined: it is text on the page, and nothing else. */
async function inert(page: Page, text: string): Promise<string | undefined> {
  await page.getByText(text, { exact: false }).first().waitFor()
  const seen = await page.evaluate(() => ({
    ran: 'hacked' in window,
    grown: document.querySelectorAll(
      'main script, main iframe, main style, main [onerror], main [onload], main [onfocus]',
    ).length,
    links: [...document.links].filter(({ protocol }) => !/^https?:$/.test(protocol)).length,
  }))
  return seen.ran || seen.grown > 0 || seen.links > 0 ? JSON.stringify(seen) : undefined
}

async function tryScripts(tally: Tally): Promise<void> {
  const { edge } = world.door
  const bare = world.provider
  const context = await world.newContext()
  const page = await context.newPage()
  const ids: string[] = []
  for (const script of scripts) {
    world.provider = { ...bare, title: `Title ${script}`, opens: script, captures: [`Capture ${script}`] }
    const asked = { provider: 'demo', subject: `Subject ${script}` }
    const created = (await (await edge.call('POST', '/v1/sessions', asked)).json()) as CreatedSession
    ids.push(created.id)
    await page.goto(created.hosted_url)
    for (const text of [world.provider.title, asked.subject, ...world.provider.captures])
      await tally.try('on the hosted page', () => inert(page, text))
  }
  await page.goto(`${edge.url}/sign-in#token=${await edge.access.newSignInToken(60)}`)
  for (const text of [world.provider.title, ...scripts.map((script) => `Subject ${script}`)])
    await tally.try('in the dashboard', () => inert(page, text))
  await context.close()
  for (const id of ids) await edge.sessions.requestEnd(id, 'cancelled')
  world.provider = bare
}

/** The status of a request with this Host header, as no browser would let a page write it. */
const statusWith = (host: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const { port } = new URL(world.door.edge.url)
    const options = { port, host: '127.0.0.1', path: '/v1/operator', headers: { host }, setHost: false }
    request(options, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
      .on('error', reject)
      .end()
  })

attemptTable('web', [
  {
    id: 'A9',
    attempt: 'a session is created with a `return_url` that leads elsewhere, in many notations',
    refusal: '`return_url_refused`, `invalid_request`',
    async run(tally) {
      const { edge } = world.door
      const { connection_id } = await edge.newSession()
      const ask = async (path: string, body: object): Promise<string | undefined> => {
        const answer = await edge.call('POST', path, body)
        const told = (await answer.json()) as { code?: string; return_url?: string }
        return ['return_url_refused', 'invalid_request'].includes(told.code ?? '')
          ? undefined
          : `taken: ${told.return_url}`
      }
      for (const return_url of innocentReturns)
        if ((await ask('/v1/sessions', { provider: 'demo', subject: 'ada', return_url })) === undefined)
          throw new Error(`${return_url} was refused`)
      for (const [kind, notations] of Object.entries(otherReturns))
        for (const return_url of notations) {
          await tally.try(kind, () => ask('/v1/sessions', { provider: 'demo', subject: 'ada', return_url }))
          await tally.try(kind, () => ask(`/v1/connections/${connection_id}/reauth`, { return_url }))
        }
    },
  },
  {
    id: 'A9',
    attempt: 'the page at the end leads to an address that was stored in spite of that',
    refusal: 'it shows no link that leads anywhere else',
    async run(tally) {
      const { edge } = world.door
      const context = await world.newContext()
      const page = await context.newPage()
      /** The link of a session that has ended with this address in its row. */
      const ended = async (return_url: string) => {
        const session = await edge.newSession()
        const change = { return_url, status: 'ended', outcome: 'completed', ended_at: 1 } as const
        await edge.store.db.updateTable('sessions').set(change).where('id', '=', session.id).execute()
        return session
      }
      for (const [kind, notations] of Object.entries(otherReturns)) {
        for (const return_url of notations)
          await tally.try(kind, async () => {
            const { id, secret } = await ended(return_url)
            const answer = await edge.call('POST', `/v1/sessions/${id}/entry`, { secret }, { nobody: '' })
            const { end } = (await answer.json()) as { end: SessionEnd }
            return end.return_url ?? undefined
          })
        // One of each kind as people have it.
        const { id, secret } = await ended(notations[0] ?? '')
        await page.goto(`${edge.url}/connect/${id}#entry=${secret}`)
        await page.getByText('This sign-in has ended').first().waitFor()
        await tally.try(`${kind}, in a browser`, async () =>
          (await page.locator('main a').count()) > 0 ? 'a link' : undefined,
        )
      }
      await context.close()
    },
  },
  {
    id: 'A10',
    attempt:
      'a page of another site, or of another port of this host, sends what the signed-in browser could: fetch, beacon, DELETE',
    refusal: '`origin_refused` or no cookie: nothing changes, nothing can be read',
    async run(tally) {
      for (const host of evilHosts) await tryForgeries(tally, host)
    },
  },
  {
    id: 'A10',
    attempt: 'such a page submits a form, of every kind that needs no permission',
    refusal: '`origin_refused`, `unsupported_media_type`, `unauthenticated`',
    async run(tally) {
      for (const host of evilHosts) await tryForms(tally, host)
    },
  },
  {
    id: 'A10',
    attempt: 'such a page opens a WebSocket',
    refusal: 'refused before the upgrade',
    async run(tally) {
      for (const host of evilHosts) await trySockets(tally, host)
    },
  },
  {
    id: 'A10',
    attempt: 'the dashboard, the sign-in or the live view is shown in a frame of a page that lays something over it',
    refusal:
      '`frame-ancestors`: the browser shows an error; the hosted page shows where the operator has named the page around it',
    async run(tally) {
      const hosted = '/connect/ses_x'
      const friend = new URL(world.friend).hostname
      const [named] = await framesAt(friend, [hosted])
      if (!named?.[1]) throw new Error('the page that is named shows nothing')
      const seen = [
        ...(await framesAt(friend, ['/', '/sign-in'])),
        ...(await Promise.all(evilHosts.map((host) => framesAt(host, ['/', '/sign-in', hosted])))).flat(),
      ]
      for (const [kind, shown] of seen) await tally.try(kind, async () => (shown ? 'it is shown' : undefined))
    },
  },
  {
    id: 'A10',
    attempt: 'a provider title, an address, a capture or a subject holds markup or script',
    refusal: 'it is text, on the hosted page and in the dashboard',
    run: tryScripts,
  },
  {
    id: 'A10',
    attempt: 'requests come under another name: DNS rebinding in a browser, forged Host headers',
    refusal: '`origin_refused`',
    async run(tally) {
      const { context } = await world.victim()
      const page = await context.newPage()
      const { port } = new URL(world.door.edge.url)
      for (const host of ['evil.test', 'anteroom.test', '127.0.0.1.evil.test'])
        for (const path of ['/', '/v1/operator', '/v1/sessions'])
          await tally.try('a name that leads here', async () => {
            const answer = await page.goto(`http://${host}:${port}${path}`)
            return answer?.status() === 403 ? undefined : `${host}${path}: ${answer?.status()}`
          })
      for (const host of [
        '',
        'evil.test',
        'localhost.evil.test',
        '127.0.0.1@evil.test',
        'evil.test:80@127.0.0.1',
        '127.0.0.1,evil.test',
        '127.0.0.1 evil.test',
        '127.0.0.1/evil',
        '10.0.0.7',
        '[::2]',
        '0.0.0.0',
        'xn--lcalhost-55a',
      ])
        await tally.try('a forged Host', async () => {
          const status = await statusWith(host)
          return [400, 403].includes(status) ? undefined : `${host}: ${status}`
        })
      await context.close()
    },
  },
  {
    id: 'A10',
    attempt: 'the cookies are read by script, or sent along to somebody else',
    refusal: '`HttpOnly`, `SameSite=Strict`, host only',
    async run(tally) {
      const { edge } = world.door
      const context = await world.newContext()
      const page = await context.newPage()
      const { id, hosted_url } = await edge.newSession()
      await page.goto(`${edge.url}/sign-in#token=${await edge.access.newSignInToken(60)}`)
      await page.getByText('Every sign-in gets its own computer').waitFor()
      await page.goto(hosted_url)
      await page.getByRole('button', { name: 'Continue' }).waitFor()
      const cookies = await context.cookies()
      if (cookies.length !== 2) throw new Error(`${cookies.length} cookies`)
      await tally.try('by script', async () => (await page.evaluate(() => document.cookie)) || undefined)
      for (const { name, httpOnly, sameSite, path, domain } of cookies)
        await tally.try('by their flags', async () => {
          const flags = { httpOnly, sameSite, path, domain }
          const right = { httpOnly: true, sameSite: 'Strict', path: '/', domain: '127.0.0.1' }
          return JSON.stringify(flags) === JSON.stringify(right) ? undefined : `${name}: ${JSON.stringify(flags)}`
        })
      world.overheard.length = 0
      await world.evilPage(context, 'evil.test')
      await tally.try('to another site', async () => world.overheard.find((headers) => headers.includes('anteroom_')))
      await context.close()
      await edge.sessions.requestEnd(id, 'cancelled')
    },
  },
])
