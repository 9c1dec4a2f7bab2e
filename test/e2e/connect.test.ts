import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Credential, Session } from '@anteroom/contract'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import { type ControllerProcess, startControllerProcess } from '../harness/controller-process.ts'
import { resultsDirectory } from '../harness/places.ts'
import { instanceOf, type MachinePlace, noTraces, tracesOf } from '../harness/traces.ts'
import { launchBrowser } from './harness/browser.ts'
import { loopbackGet } from './harness/loopback-get.ts'
import { type Moments, person, signInAsPerson } from './harness/person.ts'

const isRoot = process.getuid?.() === 0
/**
 * What is captured does not depend on the slot: one kind of provider is enough on the second one. There the password is pasted, where
 * nothing may be copied out of the machine.
 */
const kinds = [
  { kind: 'tap', isPossible: isRoot, websites: isRoot, live: {}, pastesPassword: false },
  { kind: 'user', isPossible: true, websites: !isRoot, live: { clipboard_from_machine: 'off' }, pastesPassword: true },
] as const

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser?.close())

describe.each(kinds)('connect an account on a $kind slot', ({ kind, isPossible, websites, live, pastesPassword }) => {
  let controller: ControllerProcess
  beforeAll(async () => {
    if (isPossible) controller = await startControllerProcess(kind, { network: { kind }, live })
  })
  afterAll(() => controller?.remove())

  test.runIf(isPossible)(
    'oauth2: sign in and consent in the machine, refresh in the middle, use the token',
    async () => {
      const page = await newPage()
      const { session, credential, place } = await connect(controller, kind, page, 'demo', {
        atLogin: () => picture(page, `live-${kind}-demo`),
        halfway: async () => {
          await page.reload()
        },
        pastesPassword,
      })
      expect(session.captured).toMatchObject({ kind: 'oauth2', tokens: expect.arrayContaining(['refresh_token']) })

      if (credential.value.kind !== 'oauth2') throw new Error(`a credential of kind ${credential.value.kind}`)
      const { issuer, access_token } = credential.value
      const metadata = await loopbackGet(`${issuer}/.well-known/openid-configuration`)
      const user = await loopbackGet(String(metadata.userinfo_endpoint), { authorization: `Bearer ${access_token}` })
      expect(user).toMatchObject({ sub: person.name, name: person.fullName })
      expect(await tracesOf(place)).toEqual(noTraces)
    },
  )

  if (websites)
    test('website: sign in in the machine, and be signed in wherever the state is restored', async () => {
      const page = await newPage()
      const { session, credential, place } = await connect(controller, kind, page, 'demo-site', {
        atLogin: () => picture(page, `live-${kind}-demo-site`),
        pastesPassword: true,
      })
      expect(session.captured).toMatchObject({ kind: 'website', session_storage: 2, local_storage: 3 })
      await expectSignedIn(credential)
      expect(await tracesOf(place)).toEqual(noTraces)
    })

  test.runIf(isPossible)('nobody holds a lease, and the controller ends cleanly', async () => {
    expect(await controller.api.machines()).toEqual([])
    expect(await controller.stop()).toBe(0)
  })
})

const newPage = async (): Promise<Page> =>
  await (await browser.newContext({ viewport: { width: 1280, height: 860 } })).newPage()

async function picture(page: Page, name: string): Promise<void> {
  const path = join(resultsDirectory, `${name}.png`)
  await page.screenshot({ path })
  if (process.env.E2E_README_PICTURE !== name) return
  const images = join(resultsDirectory, '../docs/images')
  await mkdir(images, { recursive: true })
  await copyFile(path, join(images, 'live.png'))
}

/** From POST /v1/sessions to the credential; meanwhile the machine was seen on the host. */
async function connect(
  { api, home }: ControllerProcess,
  kind: 'tap' | 'user',
  page: Page,
  provider: string,
  moments: Moments & { readonly atLogin: () => Promise<void> },
): Promise<{ session: Session; credential: Credential; place: MachinePlace }> {
  const askedAt = performance.now()
  const created = await api.createSession(provider, `${person.name}@example.com`)
  const answerMs = performance.now() - askedAt
  expect(created.status).toBe('queued')
  let place: MachinePlace | undefined
  onTestFailed(async () => {
    // The next test counts what is on the host.
    await api.call('POST', `/v1/sessions/${created.id}/cancel`, { body: {} })
    await api.ended(created.id)
  })
  await signInAsPerson(page, created.hosted_url, provider, {
    ...moments,
    atLogin: async () => {
      const { browser_vm_id: id, vm_ip: ip, vnc_url } = await api.session(created.id)
      if (id === null || ip === null) throw new Error('a live session without a machine')
      expect(vnc_url).toBe(`vnc://${ip}:5900`)
      place = { id, ip, home, instance: await instanceOf(id) }
      const traces = await tracesOf(place)
      expect(traces.processes).toHaveLength(1)
      expect(traces.directories).toHaveLength(1)
      // A user slot is nothing but its process, which listens on the address itself.
      const { namespaces, links, ports } = traces
      const seen = { namespaces: namespaces.length, links: links.length, ports }
      expect(seen).toEqual(
        kind === 'tap'
          ? { namespaces: 1, links: 1, ports: [] }
          : { namespaces: 0, links: 0, ports: [7000, 7001, 5900] },
      )
      await moments.atLogin()
    },
  })
  await page.locator('[data-testid=status][data-outcome=completed]').waitFor({ state: 'attached', timeout: 120_000 })
  await picture(page, `completed-${provider}`)
  const session = await api.ended(created.id)
  expect(session).toMatchObject({ status: 'ended', outcome: 'completed', failure: null })
  report(provider, answerMs, session)
  await page.context().close()
  if (!place || session.connection_id === null) throw new Error('a completed session without machine or connection')
  return { session, credential: await api.credential(session.connection_id), place }
}

/** Figures, not limits: they depend on the host. */
function report(provider: string, answerMs: number, { stages }: Session): void {
  const durations = stages.map(({ name, duration_ms }) => `${name} ${duration_ms} ms`).join(', ')
  console.log(`${provider}: POST /v1/sessions answered in ${answerMs.toFixed(1)} ms; ${durations}`)
}

async function expectSignedIn({ value }: Credential): Promise<void> {
  if (value.kind !== 'website') throw new Error(`a credential of kind ${value.kind}`)
  const { storage_state, session_storage } = value
  expect(storage_state.cookies).toContainEqual(
    expect.objectContaining({ name: 'workbench_session', httpOnly: true, domain: 'site.demo.test' }),
  )
  const [stored] = storage_state.origins
  if (!stored) throw new Error('no origin was captured')
  // Playwright's own type says more about IndexedDB than the contract does.
  const context = await browser.newContext({ storageState: storage_state as never })
  await context.addInitScript((origins) => {
    const own = origins.find(({ origin }) => origin === location.origin)
    for (const { name, value } of own?.entries ?? []) sessionStorage.setItem(name, value)
  }, session_storage)
  const page = await context.newPage()
  await page.goto(`${stored.origin}/home`)
  expect(await page.textContent('h1')).toBe(`Signed in as ${person.name}`)
  await page.locator('[data-testid=indexed-db][data-rows="10"]').waitFor()
  const database = await page.getByTestId('indexed-db').textContent()
  expect(database).toContain('漢字')
  expect(database).toContain('settings date 2020-02-02T00:00:00.000Z')
  expect(database).toContain('visits [1,"home"]')
  expect(await page.getByTestId('local-storage').textContent()).toContain('Grüße, 你好')
  expect(await page.getByTestId('session-storage').textContent()).toContain('On the analytical engine')
  await context.close()
}
