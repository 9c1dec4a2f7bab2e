import { existsSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CredentialValue, sealedPayload, type WebsiteProvider } from '@anteroom/contract'
import { chromium } from 'playwright-core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startTestMachine, type TestMachine } from './testing/test-machine.ts'

/** Everything about being signed in that a site can leave in a browser. */
const homePage = `<!doctype html><title>Home</title><h1>Home</h1><script>
localStorage.setItem('theme', 'dark')
sessionStorage.setItem('draft', 'hello')
const open = indexedDB.open('notes', 3)
open.onupgradeneeded = () => {
  const notes = open.result.createObjectStore('notes', { keyPath: 'id' })
  notes.createIndex('byTag', 'tags', { multiEntry: true })
  open.result.createObjectStore('blobs')
}
open.onsuccess = () => {
  const writing = open.result.transaction(['notes', 'blobs'], 'readwrite')
  writing.objectStore('notes').put({ id: 1, text: 'first', tags: ['a', 'b'] })
  writing.objectStore('blobs').put({ at: new Date(86400000), bytes: new Uint8Array([1, 2, 255]), set: new Set([1, null]) }, 'typed')
  writing.objectStore('blobs').put(new Blob(['x']), 'not expressible')
  writing.oncomplete = () => { document.title = 'Filled' }
}
</script>`
const flashPage = `<!doctype html><title>Home</title><script>addEventListener('load', () => setTimeout(() => location.replace('/login'), 200))</script>`
const loginPage = `<!doctype html><title>Login</title><form method="post" action="/login"><input name="password" autofocus><button>Sign in</button></form>`

let machine: TestMachine
let site: Server
let origin: string

beforeEach(async () => {
  site = createServer((request, response) => {
    const signedIn = request.headers.cookie?.includes('session=good') === true
    const html = { 'content-type': 'text/html', 'cache-control': 'no-store' }
    switch (`${request.method} ${request.url}`) {
      case 'GET /login':
        // A cookie of the awaited name for every visitor: not a sign-in.
        return void response
          .writeHead(200, { ...html, 'set-cookie': 'session=anonymous; Path=/; HttpOnly' })
          .end(loginPage)
      case 'POST /wrong':
        // What some sites do with a wrong password: a session at once, the home page, and back to the form.
        return void response.writeHead(303, { location: '/home', 'set-cookie': 'session=wrong; Path=/' }).end()
      case 'POST /login': {
        const good = 'session=good; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600'
        return void request
          .resume()
          .on('end', () => response.writeHead(303, { location: '/home', 'set-cookie': good }).end())
      }
      case 'GET /home':
        return void response.writeHead(200, html).end(signedIn ? homePage : flashPage)
      case 'GET /never':
        return
      // Leaves the storage as it is.
      case 'GET /who':
        return void response.writeHead(200, html).end(signedIn ? 'signed in' : 'signed out')
      default:
        return void response.writeHead(404).end()
    }
  })
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  origin = `http://app.site.test:${(site.address() as AddressInfo).port}`
  machine = await startTestMachine()
})

afterEach(async () => {
  await machine.close()
  site.closeAllConnections()
  await new Promise((resolve) => site.close(resolve))
})

const provider = (): WebsiteProvider => ({
  name: 'site',
  title: 'Site',
  kind: 'website',
  start_url: `${origin}/login`,
  success: { all: [{ cookie: 'session' }, { url: `${origin}/home*` }] },
  capture: { cookies: ['*.site.test'], storage: [origin, 'http://other.site.test'] },
  egress: { allow: ['*.site.test'] },
})

test('captures what the person is signed in with, and Playwright goes on from there', async () => {
  await machine.open(provider())
  const waiting = await machine.untilStatus(({ phase }) => phase === 'waiting')
  const early = await machine.call('POST', '/v1/capture')
  expect([early.status, await early.json()]).toMatchObject([409, { code: 'session_not_ready' }])

  const page = await machine.formAt(`${origin}/login`)
  const hands = await machine.hands()
  hands.type('pa55\r')
  await machine.untilStatus(({ phase, version }) => version > waiting.version && phase === 'signed_in')
  await machine.scope.until(async () => {
    return (await page.evaluate<string>('document.title', machine.scope)) === 'Filled' ? true : undefined
  }, 50)

  const { captured, payload } = await machine.capture()
  expect(captured.summary).toMatchObject({
    cookies: 1,
    origins: [origin],
    local_storage: 1,
    session_storage: 1,
    indexed_db: 2,
  })
  expect((await machine.capture()).captured).toEqual(captured)
  expect(machine.log()).not.toMatch(/session=good|pa55/)

  const value: CredentialValue = sealedPayload.parse(payload).value
  if (value.kind !== 'website') throw new Error(value.kind)
  expect(value.session_storage).toEqual([{ origin, entries: [{ name: 'draft', value: 'hello' }] }])
  expect(await seenByPlaywright(value)).toEqual({
    body: 'signed in',
    theme: 'dark',
    note: { id: 1, text: 'first', tags: ['a', 'b'] },
    indexed: 1,
    typed: [86400000, [1, 2, 255], [1, null]],
    keys: ['typed'],
    version: 3,
  })

  expect((await machine.call('POST', '/v1/wipe')).status).toBe(204)
  expect((await machine.call('POST', '/v1/capture')).status).toBe(409)
})

test('a flash of the home page is no sign-in', async () => {
  await machine.open(provider())
  const { version } = await machine.untilStatus(({ phase }) => phase === 'waiting')
  const hands = await machine.hands()
  const page = await machine.formAt(`${origin}/login`)
  await page.evaluate(`document.forms[0].action = '/wrong'`, machine.scope)
  hands.type('wrong')
  const flashed = new Promise<void>((resolve) => {
    machine.agent.browser.onPageEvent(() => page.url === `${origin}/home` && resolve())
  })
  hands.type('\r')
  await flashed
  await machine.formAt(`${origin}/login`)
  hands.type('right\r')
  // One change since then, so that it never was anything but waiting.
  const status = await machine.untilStatus(({ phase }) => phase === 'signed_in')
  expect(status.version).toBe(version + 1)
  const { payload } = await machine.capture()
  expect(sealedPayload.parse(payload).value).toMatchObject({ storage_state: { cookies: [{ value: 'good' }] } })
})

test('the link is lost while the first page loads: it is loaded again over the next one', async () => {
  const asked = new Promise<void>((resolve) => {
    // The first request is never answered.
    site.prependOnceListener('request', (request) => {
      request.url = '/never'
      resolve()
    })
  })
  await machine.open(provider())
  await asked
  await machine.renewEgress()
  await machine.untilStatus(({ phase }) => phase === 'waiting')
  await machine.formAt(`${origin}/login`)
})

test('wiped in the middle of a sign-in, the agent still answers, and holds nothing', async () => {
  await machine.open(provider())
  await machine.untilStatus(({ phase }) => phase === 'waiting')
  const hands = await machine.hands()
  hands.type('x')
  expect((await machine.call('POST', '/v1/wipe')).status).toBe(204)
  const status = await machine.untilStatus(({ phase }) => phase === 'idle')
  expect(status).toMatchObject({ failure: null, browser: 'starting' })
  expect(existsSync(machine.personHome)).toBe(false)
  await expect(machine.open(provider())).rejects.toThrow('session_over')
})

test('without rules the person says that they are signed in', async () => {
  const { success: _, ...withoutRules } = provider()
  await machine.open(withoutRules)
  await machine.untilStatus(({ phase }) => phase === 'waiting')
  expect((await machine.call('POST', '/v1/signed-in')).status).toBe(204)
  const { captured } = await machine.capture()
  expect(captured.summary).toMatchObject({ cookies: 1, local_storage: 0 })
})

async function seenByPlaywright(value: Extract<CredentialValue, { kind: 'website' }>): Promise<unknown> {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-background-networking', '--host-resolver-rules=MAP *.site.test 127.0.0.1'],
  })
  try {
    const context = await browser.newContext({ storageState: value.storage_state as never })
    const page = await context.newPage()
    await page.goto(`${origin}/who`)
    return await page.evaluate(async () => {
      const done = <T>(request: IDBRequest<T>): Promise<T> =>
        new Promise((resolve) => {
          request.onsuccess = () => resolve(request.result)
        })
      const database = await done(indexedDB.open('notes'))
      const stores = database.transaction(['notes', 'blobs'])
      const typed = await done(stores.objectStore('blobs').get('typed'))
      return {
        body: document.body.textContent?.trim(),
        theme: localStorage.getItem('theme'),
        note: await done(stores.objectStore('notes').get(1)),
        indexed: (await done(stores.objectStore('notes').index('byTag').getAll('b'))).length,
        typed: [typed.at.getTime(), [...typed.bytes], [...typed.set]],
        keys: await done(stores.objectStore('blobs').getAllKeys()),
        version: database.version,
      }
    })
  } finally {
    await browser.close()
  }
}
