import { request } from 'node:http'
import type { SessionEnd } from '@anteroom/contract'
import { afterAll, beforeAll } from 'vitest'
import { attemptTable } from './harness/attempts.ts'
import { tryForgeries, tryForms, trySockets } from './harness/forged-requests.ts'
import { innocentReturns, otherReturns } from './harness/return-notations.ts'
import { framesAt, tryScripts } from './harness/shown-pages.ts'
import { evilHosts, openWebWorld, type WebWorld } from './harness/web-world.ts'

let world: WebWorld
beforeAll(async () => {
  world = await openWebWorld({ return_origins: ['https://app.example.com', 'http://localhost:3000'] })
})
afterAll(() => world?.stop())

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
      for (const host of evilHosts) await tryForgeries(world, tally, host)
    },
  },
  {
    id: 'A10',
    attempt: 'such a page submits a form, of every kind that needs no permission',
    refusal: '`origin_refused`, `unsupported_media_type`, `unauthenticated`',
    async run(tally) {
      for (const host of evilHosts) await tryForms(world, tally, host)
    },
  },
  {
    id: 'A10',
    attempt: 'such a page opens a WebSocket',
    refusal: 'refused before the upgrade',
    async run(tally) {
      for (const host of evilHosts) await trySockets(world, tally, host)
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
      const [named] = await framesAt(world, friend, [hosted])
      if (!named?.[1]) throw new Error('the page that is named shows nothing')
      const seen = [
        ...(await framesAt(world, friend, ['/', '/sign-in'])),
        ...(await Promise.all(evilHosts.map((host) => framesAt(world, host, ['/', '/sign-in', hosted])))).flat(),
      ]
      for (const [kind, shown] of seen) await tally.try(kind, async () => (shown ? 'it is shown' : undefined))
    },
  },
  {
    id: 'A10',
    attempt: 'a provider title, an address, a capture or a subject holds markup or script',
    refusal: 'it is text, on the hosted page and in the dashboard',
    run: (tally) => tryScripts(world, tally),
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
