import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect } from 'vitest'
import { launchBrowser } from '../e2e/harness/browser.ts'
import { openAndAgree } from '../e2e/harness/person.ts'
import { Screen } from '../e2e/harness/screen.ts'
import { type HttpsSite, serveHttps } from '../faults/harness/https-site.ts'
import { publishTrusting } from '../faults/harness/publish-candidate.ts'
import { type ControllerProcess, startControllerProcess } from '../harness/controller-process.ts'
import { GoldenCopy } from '../harness/golden-copy.ts'
import { resultsDirectory } from '../harness/places.ts'
import { environmentOf, familyOf, findInMemory, needlesOf, needlesOfTyping } from '../harness/process-memory.ts'
import { attemptTable, type Tally } from '../security/harness/attempts.ts'

const host = 'secure.demo.test'
/** Typed by the person, and known to this process and to the site in it alone. */
const name = `n${randomBytes(8).toString('hex')}`
const password = randomBytes(16).toString('hex')
/** What signing in gives. */
const cookie = randomBytes(16).toString('hex')
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
  const gives = isRight ? { 'set-cookie': `session=${cookie}; Secure; HttpOnly` } : {}
  response.writeHead(303, { location: '/', ...gives }).end()
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

attemptTable('typed-password', [
  {
    id: 'A7',
    attempt:
      'a password that somebody typed through the live view, and the cookie that was captured, are looked for in memory and environment of the controller, in its log, in every file of its state directory',
    refusal:
      'nothing is found, while what is no secret is: it saw keys one by one, ciphertext of TLS, and a sealed capture',
    run: searchEverywhere,
  },
])

async function signIn(): Promise<void> {
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
  const { value } = await controller.api.credential(session.connection_id ?? '')
  if (value.kind !== 'website') throw new Error(`a credential of kind ${value.kind}`)
  expect(value.storage_state.cookies.map((kept) => kept.value)).toEqual([cookie])
  // What is no secret is found: the search sees what is there.
  expect(await findInMemory(controller.pid, needlesOf('the session', created.id))).not.toEqual([])
}

async function searchEverywhere(tally: Tally): Promise<void> {
  await signIn()
  const needles = [
    ...[...needlesOf('the password', password), ...needlesOfTyping('the password', password)],
    ...needlesOf('the cookie', cookie),
  ]
  for (const pid of await familyOf(controller.pid)) {
    const environment = await environmentOf(pid)
    const hits = await findInMemory(pid, needles)
    for (const needle of needles) {
      await tally.try(`${needle.name} in memory`, async () => hits.find((hit) => hit.startsWith(`${needle.name} in`)))
      await tally.try(`${needle.name} in the environment`, async () =>
        environment.includes(needle.bytes) ? 'it is there' : undefined,
      )
    }
  }
  const entries = await readdir(controller.home, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  for (const file of [...files, join(resultsDirectory, 'controller-typed-password.log')]) {
    const content = await readFile(file)
    for (const needle of needles)
      await tally.try(`${needle.name} in a file`, async () => (content.includes(needle.bytes) ? file : undefined))
  }
}
