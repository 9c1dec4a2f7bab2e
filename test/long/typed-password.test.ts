import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchBrowser } from '../e2e/harness/browser.ts'
import { openAndAgree } from '../e2e/harness/person.ts'
import { Screen } from '../e2e/harness/screen.ts'
import { type HttpsSite, serveHttps } from '../faults/harness/https-site.ts'
import { publishTrusting } from '../faults/harness/publish-candidate.ts'
import { type ControllerProcess, startControllerProcess } from '../harness/controller-process.ts'
import { GoldenCopy } from '../harness/golden-copy.ts'
import { familyOf, findInMemory, needlesOf, needlesOfTyping } from '../harness/process-memory.ts'

const host = 'secure.demo.test'
/** Typed by the person, and known to this process and to the site in it alone. */
const name = `n${randomBytes(8).toString('hex')}`
const password = randomBytes(16).toString('hex')
const [empty, focused] = ['#d000d0', '#00c8c8']
const loginPage = `<!doctype html><title>Sign in</title>
<style>body { margin: 0 } input { display: block; width: 400px; height: 90px; border: 0; background: ${empty} }
input:focus { background: ${focused}; outline: none } button { display: none }</style>
<form method=post action=/login><input name=name><input name=password type=password><button></button></form>`

/** Signed in is who sends the password; the site says nothing else of it. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'POST') {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(loginPage)
    return
  }
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(request, 'end')
  const sent = new URLSearchParams(Buffer.concat(chunks).toString())
  const isRight = sent.get('name') === name && sent.get('password') === password
  const cookie = isRight ? { 'set-cookie': `session=${randomBytes(16).toString('hex')}; Secure; HttpOnly` } : {}
  response.writeHead(303, { location: '/', ...cookie }).end()
}

let golden: GoldenCopy
let site: HttpsSite
let providers: string
let controller: ControllerProcess
let browser: Browser
beforeAll(async () => {
  ;[golden, site, browser] = await Promise.all([
    GoldenCopy.make(),
    serveHttps(host, (request, response) => void answer(request, response)),
    launchBrowser(),
  ])
  await publishTrusting(golden, site.authority)
  providers = await mkdtemp(join(tmpdir(), 'anteroom-providers-'))
  await writeFile(
    join(providers, 'secure.yaml'),
    `name: secure
title: A site with a password
kind: website
start_url: https://${host}:${site.port}/
success: { any: [{ cookie: session }] }
capture: { cookies: [${host}] }
egress: { allow: [${host}], hosts: { ${host}: 127.0.0.1 } }
`,
  )
  const config = { providers_dir: providers, demo: 'off', log_level: 'debug' } as const
  controller = await startControllerProcess('typed-password', config, { images: golden.images })
})
afterAll(async () => {
  await browser?.close()
  await controller?.remove()
  await site?.close()
  await golden?.remove()
  if (providers) await rm(providers, { recursive: true })
})

test('a password that somebody typed is nowhere in the memory of the controller, nor in pieces as it was typed', async () => {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 860 } })).newPage()
  const created = await controller.api.createSession('secure', 'somebody')
  await openAndAgree(page, created.hosted_url)
  const screen = new Screen(page)
  await screen.connected()
  const both = await screen.see(empty, 'the empty fields')
  await screen.click({ ...both, height: both.height / 2 })
  const nameField = await screen.see(focused, 'the name field')
  await screen.type(name)
  await screen.press('Tab')
  await screen.see(focused, 'the password field', ({ y }) => y > nameField.y)
  await screen.type(password)
  await screen.press('Enter')
  const session = await controller.api.ended(created.id)
  expect(session.outcome).toBe('completed')

  // What is no secret is found: the search sees what is there.
  expect(await findInMemory(controller.pid, needlesOf('the session', created.id))).not.toEqual([])
  const needles = [...needlesOf('the password', password), ...needlesOfTyping('the password', password)]
  const hits: string[] = []
  for (const pid of await familyOf(controller.pid)) hits.push(...(await findInMemory(pid, needles)))
  expect(hits).toEqual([])
  expect(await readFile(join(controller.home, 'anteroom.sqlite'), 'latin1')).not.toContain(password)
})
