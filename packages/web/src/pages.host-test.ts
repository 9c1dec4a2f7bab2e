import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { liveCloseCodes } from '@anteroom/contract'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { ApiDouble } from '../test/api-double.ts'
import { type RfbDouble, serveRfb } from '../test/rfb-double.ts'
import {
  completed,
  failed,
  ready,
  sampleConnection,
  sampleImage,
  sampleMachine,
  samplePool,
  sampleProvider,
  sampleSession,
  sampleSite,
} from '../test/sample.ts'
import { closeWords } from './live/close-words.ts'
import { keysymOf, keysyms } from './live/typed-text.ts'

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } as const
const browserFlags = ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync']

let root: string
let browser: Browser
let api: ApiDouble
/** The live views, in the order in which they were opened. */
let views: RfbDouble[]
/** What the browser complained about: above all, breaches of the content security policy. */
let complaints: string[]

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'anteroom-web-'))
  // Vitest's own would make a development build of React.
  vi.stubEnv('NODE_ENV', 'production')
  await build({
    configFile: join(import.meta.dirname, '../vite.config.ts'),
    logLevel: 'warn',
    build: { outDir: root, emptyOutDir: true },
  })
  vi.unstubAllEnvs()
  const { stdout } = await promisify(execFile)('which', ['chromium'])
  browser = await chromium.launch({ executablePath: stdout.trim(), args: browserFlags })
})
afterAll(async () => {
  await browser?.close()
  await rm(root, { recursive: true, force: true })
})
beforeEach(async () => {
  views = []
  complaints = []
  api = await ApiDouble.start(root, (socket) => views.push(serveRfb(socket)))
})
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()))
  await api.close()
  expect(complaints).toEqual([])
})

async function newPage(options: BrowserContextOptions = {}): Promise<Page> {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })).newPage()
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    // Refusals are part of these tests.
    if (message.type() === 'error' && !message.text().includes('status of 40')) complaints.push(message.text())
  })
  return page
}

async function openLive(options?: BrowserContextOptions): Promise<Page> {
  api.become(ready())
  const page = await newPage(options)
  await page.goto(api.hostedUrl)
  await connected(page)
  return page
}

const connected = (page: Page): Promise<void> => page.locator('[data-testid=screen][data-live=connected]').waitFor()
const lastView = (): RfbDouble => {
  const view = views.at(-1)
  if (!view) throw new Error('nothing has opened a live view')
  return view
}
const pressed = (text: string): number[] => Array.from(text).map(keysymOf)

test('a link opens once: its secret leaves the address, a reload stays, another browser is told', async () => {
  const page = await newPage()
  await page.goto(api.hostedUrl)
  await page.getByText('Connect Demo identity').waitFor()
  expect(page.url()).toBe(`${api.url}/connect/${api.session.id}`)
  await page.reload()
  await page.getByText('Connect Demo identity').waitFor()

  const second = await newPage()
  await second.goto(api.hostedUrl)
  await second.getByText('This link opens only once').waitFor()
  expect(second.url()).not.toContain('entry')
})

test('follows the session from stage to stage to its end, by events', async () => {
  const page = await newPage()
  await page.goto(api.hostedUrl)
  const status = page.getByTestId('status')
  await page.locator('[data-testid=status][data-status=queued]').waitFor({ state: 'attached' })
  await page.getByText('ada@example.com').waitFor()
  await page.getByText(sampleProvider.opens).waitFor()
  api.become(ready())
  await connected(page)
  api.become(ready({ status: 'capturing' }))
  await page.locator('[data-testid=status][data-status=capturing]').waitFor({ state: 'attached' })
  api.become(completed({ return_url: 'https://app.example.com/back' }))
  await page.getByText('A refresh token', { exact: false }).waitFor()
  expect(await status.getAttribute('data-outcome')).toBe('completed')
  const back = page.getByRole('link', { name: 'Return to app.example.com' })
  expect(await back.getAttribute('href')).toBe('https://app.example.com/back')
})

test('the screen is asked for as soon as an event says ready, and no older answer takes it away', async () => {
  const page = await newPage()
  await page.goto(api.hostedUrl)
  await page.locator('[data-testid=status][data-status=queued]').waitFor({ state: 'attached' })
  await vi.waitFor(() => expect(api.followers).toBe(1))
  const older = api.holdPages()
  api.tell({})
  await vi.waitFor(() => expect(older.count).toBeGreaterThan(0))
  const newer = api.holdPages()
  api.become(ready())
  older.release()
  await connected(page)
  await vi.waitFor(() => expect(newer.count).toBeGreaterThan(0))
  newer.release()
  expect(api.changes.filter((change) => change.endsWith('/tickets'))).toHaveLength(1)
})

test('that it was ready once is no news to a page that is past it', async () => {
  api.become(ready({ status: 'capturing' }))
  const page = await newPage()
  await page.goto(api.hostedUrl)
  const status = page.getByTestId('status')
  await status.waitFor({ state: 'attached' })
  await vi.waitFor(() => expect(api.followers).toBe(1))
  const held = api.holdPages()
  api.tell({ status: 'ready' })
  await vi.waitFor(() => expect(held.count).toBeGreaterThan(0))
  expect(await status.getAttribute('data-status')).toBe('capturing')
  held.release()
})

test('a failure is told in words for the person, without what is for the operator', async () => {
  api.become(failed())
  const page = await newPage()
  await page.goto(api.hostedUrl)
  await page.getByText(String(failed().failure?.message)).waitFor()
  const words = await page.locator('body').textContent()
  expect(words).toContain('vmm_exited')
  expect(words).not.toContain(failed().failure?.detail)
})

test('an address to return to that is not of the web is no link', async () => {
  api.become(completed({ return_url: 'javascript:alert(1)' }))
  const page = await newPage()
  await page.goto(api.hostedUrl)
  await page.getByText('You can close this page').waitFor()
  expect(await page.locator('main a').count()).toBe(0)
})

test('the desktop has the size of its room, and follows the window', async () => {
  const page = await openLive()
  // The window takes on its new width and height one after the other.
  const fits = (window: { width: number; height: number }): Promise<void> =>
    vi.waitFor(async () => {
      const room = await page.getByTestId('screen').boundingBox()
      expect([room?.width, (room?.y ?? 0) + (room?.height ?? 0)]).toEqual([window.width, window.height])
      expect(lastView().size).toEqual({ width: room?.width, height: room?.height })
    })
  await fits({ width: 1280, height: 800 })
  const smaller = { width: 907, height: 633 }
  await page.setViewportSize(smaller)
  await fits(smaller)
})

test('on a phone the desktop is as wide as a browser window must be, and drawn to fit', async () => {
  const page = await openLive(phone)
  await vi.waitFor(async () => {
    expect(lastView().size.width).toBe(500)
    const room = await page.getByTestId('screen').boundingBox()
    const canvas = await page.locator('[data-testid=screen] canvas').boundingBox()
    expect(Math.abs((canvas?.width ?? 0) - (room?.width ?? 0))).toBeLessThan(1.5)
    expect(Math.abs((canvas?.height ?? 0) - (room?.height ?? 0))).toBeLessThan(1.5)
  })
})

test('keys go to the machine at once, Tab too; F6 leads back to the page', async () => {
  const page = await openLive()
  await page.keyboard.type('ada')
  await page.keyboard.press('Tab')
  await vi.waitFor(() => expect(lastView().pressed).toEqual([...pressed('ada'), keysyms.Tab]))
  await page.keyboard.press('F6')
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Cancel')
})

test('Ctrl+V pastes the clipboard of this side', async () => {
  const page = await openLive({ permissions: ['clipboard-read', 'clipboard-write'] })
  await page.evaluate(() => navigator.clipboard.writeText('pässword'))
  await page.keyboard.press('Control+v')
  await vi.waitFor(() => {
    expect(lastView().pasted).toEqual(['pässword'])
    expect(lastView().pressed).toEqual([keysyms.ControlLeft, ...pressed('v')])
  })
})

test('a phone types through its own keyboard, and pastes without being allowed to read the clipboard', async () => {
  const page = await openLive(phone)
  await page.getByRole('button', { name: 'Keyboard' }).tap()
  await page.keyboard.insertText('é漢')
  await page.keyboard.press('Backspace')
  await page.keyboard.press('Enter')
  const typed = [...pressed('é漢'), keysyms.Backspace, keysyms.Enter]
  await vi.waitFor(() => expect(lastView().pressed).toEqual(typed))
  await page.getByRole('button', { name: 'Paste' }).tap()
  await page.getByLabel('Text').fill('secret')
  await page.getByRole('button', { name: 'Send' }).tap()
  await vi.waitFor(() => expect(lastView().pasted).toEqual(['secret']))
})

test('a screen that was cut comes back by itself, saying why meanwhile', async () => {
  const page = await openLive()
  api.cut(liveCloseCodes.controller_stopping)
  await page.getByText(closeWords(liveCloseCodes.controller_stopping, true).why).waitFor()
  await connected(page)
  expect(views).toHaveLength(2)
})

test('a screen that was opened elsewhere stays there until it is asked for', async () => {
  const page = await openLive()
  api.cut(liveCloseCodes.replaced)
  await page.getByText(closeWords(liveCloseCodes.replaced, true).why).waitFor()
  await page.getByRole('button', { name: 'Show the screen here' }).click()
  await connected(page)
  expect(api.changes.filter((change) => change.endsWith('/tickets'))).toHaveLength(2)
})

test('of an OAuth sign-in nobody needs to say that it is done', async () => {
  const page = await openLive()
  expect(await page.getByRole('button').allTextContents()).not.toContain('I am signed in')
})

test('"I am signed in" asks for the capture; Cancel asks back first', async () => {
  api.provider = sampleSite
  const page = await openLive()
  await page.getByRole('button', { name: 'I am signed in' }).click()
  await vi.waitFor(() => expect(api.changes).toContain('POST /v1/sessions/SESSION/capture'))
  await page.getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('button', { name: 'Keep going' }).click()
  expect(api.changes).not.toContain('POST /v1/sessions/SESSION/cancel')
  await page.getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('button', { name: 'Stop and destroy' }).click()
  await vi.waitFor(() => expect(api.changes).toContain('POST /v1/sessions/SESSION/cancel'))
})

test('the dashboard: sign in, connect, look at a failure, delete a connection', async () => {
  api.operator.providers = [sampleProvider]
  api.operator.problems = [{ file: 'github.yaml', line: 7, field: 'egress', message: 'is missing' }]
  api.operator.sessions = [failed({ id: `ses_${'z'.repeat(24)}` })]
  api.operator.connections = [sampleConnection]
  const page = await newPage()
  await page.goto(api.url)
  await page.getByText('npm start').waitFor()
  await page.goto(`${api.url}/sign-in#token=once`)
  await page.getByText('github.yaml:7').waitFor()
  expect(page.url()).toBe(`${api.url}/`)

  await page.getByRole('button', { name: 'Failed' }).click()
  await page.getByText(String(failed().failure?.detail)).waitFor()
  await page.getByRole('button', { name: 'Delete ada@example.com at demo' }).click()
  await page.getByRole('button', { name: 'Delete', exact: true }).click()
  await page.getByText('A completed session makes one').waitFor()

  api.become(sampleSession())
  await page.getByRole('button', { name: 'Connect Demo identity' }).click()
  const [tab] = await Promise.all([
    page.context().waitForEvent('page'),
    page.getByRole('button', { name: 'Start' }).click(),
  ])
  await tab.getByText('Connect Demo identity').waitFor()
})

test('the dashboard tells machines that wait from those of sessions, and why fewer wait than wanted', async () => {
  const waits = { ...sampleMachine, id: `vm_${'w'.repeat(24)}`, session_id: null, origin: null, vm_ip: '10.213.0.6' }
  api.operator.machines = [sampleMachine, waits]
  api.operator.images = [sampleImage]
  const page = await newPage()
  await page.goto(`${api.url}/sign-in#token=once`)
  const machines = page.getByRole('region', { name: 'Machines' })
  await machines.getByText('woken from the pool').waitFor()
  await machines.getByText('waits in the pool').waitFor()
  await page.getByText('of 3 wanted, 1 to 4 by demand').waitFor()
  await page.getByText('a session is starting').waitFor()
  await page.getByText('Machines are restored from it').waitFor()

  const reason = { code: 'insufficient_memory', detail: '900 MiB are free' } as const
  const snapshot = { status: 'failed', code: 'snapshot_build_failed', why: 'not painted' } as const
  api.operator.pool = { ...samplePool, size: 2, wanted: 2, ready: 0, filling: 1, reason, snapshot }
  await page.getByText('of 2 wanted, 1 on the way, a fixed number').waitFor()
  await page.getByText('insufficient_memory').waitFor()
  await page.getByText('snapshot_build_failed').waitFor()
})

test('a used sign-in link says how to get a new one', async () => {
  const page = await newPage()
  await page.goto(`${api.url}/sign-in#token=used`)
  await page.getByText('This sign-in link is used up').waitFor()
  await page.getByText('npm start').waitFor()
})
