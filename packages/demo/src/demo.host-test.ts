import { Scope, silentLog } from '@anteroom/base'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Demo, startDemo } from './demo.ts'

let demo: Demo
let browser: Browser
beforeAll(async () => {
  demo = await startDemo({ idpPort: 0, sitePort: 0, log: silentLog }, Scope.root('demo host test'))
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--host-resolver-rules=MAP *.demo.test 127.0.0.1', '--disable-background-networking', '--no-sandbox'],
  })
})
afterAll(async () => {
  await browser?.close()
  await demo?.close()
})

/** The first field has the focus: keyboard alone is enough. */
async function signIn(page: Page): Promise<void> {
  await page.goto(`${demo.urls.site}/login`)
  await page.locator('input[name=name]:focus').waitFor()
  await page.keyboard.type('ada')
  await page.keyboard.press('Tab')
  await page.keyboard.type('lovelace')
  await page.keyboard.press('Enter')
  await page.waitForURL(`${demo.urls.site}/home`)
}

const shown = async (page: Page, list: string): Promise<string> => {
  await page.locator(`[data-testid=${list}][data-rows]`).waitFor()
  return (await page.getByTestId(list).textContent()) ?? ''
}

test('the site keeps something in every kind of browser storage, and shows it from a restored state', async () => {
  const context = await browser.newContext()
  const page = await context.newPage()
  await signIn(page)
  const lists = ['local-storage', 'session-storage', 'indexed-db']
  const before = await Promise.all(lists.map((list) => shown(page, list)))
  expect(before[0]).toContain('Grüße, 你好')
  expect(before[1]).toContain('analytical engine')
  expect(before[2]).toContain('visits [1,"home"]')
  expect(before[2]).toContain('settings date 2020-02-02T00:00:00.000Z')
  const cookies = await context.cookies()
  expect(cookies.find(({ name }) => name === 'workbench_session')?.httpOnly).toBe(true)

  const state = await context.storageState({ indexedDB: true })
  const restored = await (await browser.newContext({ storageState: state })).newPage()
  await restored.goto(`${demo.urls.site}/home`)
  expect(await restored.textContent('h1')).toBe('Signed in as ada')
  expect(await shown(restored, 'indexed-db')).toBe(before[2])
  expect(await shown(restored, 'local-storage')).toBe(before[0])
})

test('without the cookie nobody is signed in, and home makes no state of its own', async () => {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(`${demo.urls.site}/home`)
  expect(page.url()).toBe(`${demo.urls.site}/login`)
  await signIn(page)
  const cookies = await context.cookies()
  const cookieAlone = await browser.newContext({ storageState: { cookies, origins: [] } })
  const bare = await cookieAlone.newPage()
  await bare.goto(`${demo.urls.site}/home`)
  expect(await bare.textContent('h1')).toBe('Signed in as ada')
  for (const list of ['local-storage', 'session-storage', 'indexed-db'])
    expect((await shown(bare, list)).trim()).toBe('nothing')
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.waitForURL(`${demo.urls.site}/login`)
  await bare.reload()
  expect(bare.url()).toBe(`${demo.urls.site}/login`)
})
