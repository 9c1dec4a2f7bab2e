import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ControllerProcess, startControllerProcess } from '../harness/controller-process.ts'
import { resultsDirectory } from '../harness/places.ts'
import { instanceOf, noTraces, tracesOf } from '../harness/traces.ts'
import { launchBrowser } from './harness/browser.ts'
import { person, signInAsPerson } from './harness/person.ts'

let controller: ControllerProcess
let browser: Browser
beforeAll(async () => {
  controller = await startControllerProcess('restart')
  browser = await launchBrowser()
})
afterAll(async () => {
  await browser?.close()
  await controller?.remove()
})

/** From the moment when the controller can be reached again. */
const backWithinMs = 3_000

/** What the page says while nobody answers it. */
async function seeReason(page: Page, name: string): Promise<void> {
  const notice = page.getByRole('alert').filter({ hasText: 'Your sign-in is not lost' })
  await notice.filter({ hasText: 'The service' }).waitFor({ timeout: 10_000 })
  expect(await notice.textContent()).toContain('Connecting again by itself')
  await page.screenshot({ path: join(resultsDirectory, `${name}.png`), animations: 'disabled' })
}

test('whoever types while the controller is killed, and then ended by SIGTERM, loses nothing', async () => {
  const { id, hosted_url } = await controller.api.createSession('demo-site', person.name)
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 860 } })).newPage()
  let machine = ''
  let instance = ''
  const isBack = () => page.locator('[data-testid=screen][data-live=connected]').waitFor({ timeout: backWithinMs })
  await signInAsPerson(page, hosted_url, 'demo-site', {
    withinName: async () => {
      machine = (await controller.api.session(id)).browser_vm_id ?? ''
      instance = await instanceOf(machine)
      controller = await controller.crash(() => seeReason(page, 'restart-killed'))
      await isBack()
    },
    halfway: async () => {
      controller = await controller.restart(() => seeReason(page, 'restart-ended'))
      await isBack()
    },
  })
  // The demo's site takes no name that lacks a letter: the first half was there still, and the second came behind it.
  const session = await controller.api.ended(id)
  expect(session).toMatchObject({ outcome: 'completed', browser_vm_id: machine })
  await page.locator('[data-testid=status][data-outcome=completed]').waitFor({ state: 'attached', timeout: 10_000 })
  const place = { id: machine, ip: session.vm_ip ?? '', home: controller.home, instance }
  expect(await tracesOf(place)).toEqual(noTraces)
  await page.context().close()
})
