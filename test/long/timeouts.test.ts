import { type ErrorCode, errorDefinitions } from '@anteroom/contract'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { launchBrowser } from '../e2e/harness/browser.ts'
import { openAndAgree } from '../e2e/harness/person.ts'
import { Screen } from '../e2e/harness/screen.ts'
import { type ControllerProcess, otherNetwork, startControllerProcess } from '../harness/controller-process.ts'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser?.close())

const long = { timeout: 240_000 }

/** The page says it in words, and the API by a code; nothing is left. */
async function expectEnd({ api }: ControllerProcess, page: Page, id: string, code: ErrorCode): Promise<void> {
  await page.getByText(errorDefinitions[code].person).waitFor(long)
  expect(await api.ended(id)).toMatchObject({ outcome: 'expired', failure: { code } })
  expect((await api.machines()).filter(({ session_id }) => session_id === id)).toEqual([])
}

// All at once, with two controllers on addresses of their own: most of the time they wait for a limit.
describe.concurrent('a person who does nothing', () => {
  let controller: ControllerProcess
  beforeAll(async () => {
    const timeouts = { idle_seconds: 16, first_connect_seconds: 12 }
    controller = await startControllerProcess('timeouts-idle', { timeouts })
  })
  afterAll(() => controller?.remove())

  test('is asked, stays by one click, and is told at the end that they were away', async () => {
    const { id, hosted_url } = await controller.api.createSession('demo-site', 'ada')
    const page = await browser.newPage()
    await openAndAgree(page, hosted_url)
    await new Screen(page).connected()
    const here = page.getByRole('button', { name: 'I am still here' })
    await here.waitFor(long)
    const before = Date.parse((await controller.api.session(id)).idle_expires_at ?? '')
    await here.click()
    await here.waitFor({ ...long, state: 'detached' })
    const { idle_expires_at } = await controller.api.session(id)
    expect(Date.parse(idle_expires_at ?? '')).toBeGreaterThan(before)
    await here.waitFor(long)
    await expectEnd(controller, page, id, 'session_idle')
    await page.close()
  })

  test('and never comes has a session that says so; who opens the link then reads it', async () => {
    const { id, hosted_url } = await controller.api.createSession('demo-site', 'ada')
    await controller.api.ended(id)
    const page = await browser.newPage()
    await page.goto(hosted_url)
    await expectEnd(controller, page, id, 'session_never_opened')
    await page.close()
  })
})

describe.concurrent('a person who needs long', () => {
  let controller: ControllerProcess
  beforeAll(async () => {
    const timeouts = { session_seconds: 30, max_session_seconds: 38 }
    controller = await startControllerProcess('timeouts-hard', { timeouts, network: otherNetwork })
  })
  afterAll(() => controller?.remove())

  test('is warned, gets more time by one click, and is told when there is no more to be had', async () => {
    const { id, hosted_url, expires_at, may_extend_until } = await controller.api.createSession('demo-site', 'ada')
    expect(expires_at).not.toBe(may_extend_until)
    const page = await browser.newPage()
    await openAndAgree(page, hosted_url)
    await page.getByRole('button', { name: 'I need more time' }).click(long)
    await page.getByTestId('limit').getByText('cannot be extended any more').waitFor(long)
    expect((await controller.api.session(id)).expires_at).toBe(may_extend_until)
    await expectEnd(controller, page, id, 'session_expired')
    await page.close()
  })
})
