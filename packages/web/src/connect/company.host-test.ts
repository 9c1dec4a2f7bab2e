import type { Viewer } from '@anteroom/contract'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { ApiDouble } from '../../test/api-double.ts'
import { pagesInBrowser } from '../../test/pages-in-browser.ts'
import type { RfbDouble } from '../../test/rfb-double.ts'
import { ready } from '../../test/sample.ts'
import { keysymOf } from '../live/typed-text.ts'

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } as const

const pages = pagesInBrowser()
let api: ApiDouble
beforeEach(() => {
  api = pages.api
})

async function openLive(options?: BrowserContextOptions): Promise<Page> {
  api.become(ready())
  api.agreed = true
  const page = await pages.newPage(options)
  await page.goto(api.hostedUrl)
  await page.locator('[data-testid=screen][data-live=connected]').waitFor()
  return page
}

const lastView = (): RfbDouble => {
  const view = pages.views.at(-1)
  if (!view) throw new Error('nothing has opened a live view')
  return view
}
const pressed = (text: string): number[] => Array.from(text).map(keysymOf)

describe.each([
  ['at a desk', undefined],
  ['on a phone', phone],
])('company, %s', (_where, device) => {
  const operator = (change: Partial<Viewer> = {}): Viewer => ({
    ...{ id: `vwr_${'1'.repeat(24)}`, access: 'view', by: 'operator', is_you: false, asks_for_control: false },
    since: new Date().toISOString(),
    ...change,
  })

  test('who else looks on is told, and has to be given keyboard and mouse; they come back at once', async () => {
    const page = await openLive(device)
    await expect.poll(() => page.getByTestId('watching').count()).toBe(0)
    api.others = [operator()]
    api.tell({ watching: 1 })
    await page.getByTestId('watching').getByText('1 other is watching').waitFor({ state: 'attached' })
    await picture(page, 'watched')
    await page.keyboard.type('a')
    await vi.waitFor(() => expect(lastView().pressed).toEqual(pressed('a')))

    api.others = [operator({ asks_for_control: true })]
    api.tell({ watching: 1, asking: 1 })
    const question = page.getByRole('alertdialog')
    await question.getByText('The operator of this service sees this screen').waitFor()
    await picture(page, 'asked')
    // Whoever goes on typing gives nothing away.
    await page.keyboard.press('Enter')
    await question.waitFor({ state: 'detached' })
    await vi.waitFor(() => expect(api.others[0]?.asks_for_control).toBe(false))
    expect(api.access).toBe('control')

    api.others = [operator({ asks_for_control: true })]
    api.tell({ watching: 1, asking: 1 })
    await question.getByRole('button', { name: 'Give control' }).click()
    await page.getByText('The operator of this service has keyboard and mouse.').waitFor()
    await question.waitFor({ state: 'detached' })
    await picture(page, 'handed-over')
    await page.keyboard.type('b')
    await page.getByRole('button', { name: 'Take back' }).click()
    await page.getByTestId('control-strip').waitFor({ state: 'detached' })
    await page.getByTestId('screen').click()
    await page.keyboard.type('c')
    await vi.waitFor(() => expect(lastView().pressed).toEqual(pressed('ac')))
  })

  test('whoever the screen does not belong to looks on, sees all of it, and asks', async () => {
    api.isOwner = false
    api.access = 'view'
    api.others = [operator({ access: 'control', by: 'account_owner' })]
    const page = await openLive(device)
    await page.getByText('The account owner has keyboard and mouse.').waitFor()
    await picture(page, 'looking-on')
    const { width } = lastView().size
    expect(width).toBe(800)
    const [drawn, room] = [
      await page.locator('canvas').first().boundingBox(),
      await page.getByTestId('screen').boundingBox(),
    ]
    expect(drawn?.width).toBeLessThanOrEqual(room?.width ?? 0)
    await page.getByRole('button', { name: 'Ask for control' }).click()
    await page.getByText('Waiting for the answer').waitFor()
    await page.keyboard.type('a')
    await page.getByTestId('screen').click()
    await page.keyboard.type('a')
    expect(lastView().pressed).toEqual([])
  })

  test('an operator who comes before anybody went on is not asked in their place, and sees the screen afterwards', async () => {
    api.become(ready())
    api.isOwner = false
    api.access = 'view'
    const page = await pages.newPage(device)
    await page.goto(api.hostedUrl)
    await page.getByRole('heading', { name: 'Waiting for the account owner' }).waitFor()
    await picture(page, 'too-early')
    expect(await page.getByRole('button').count()).toBe(0)
    api.agreed = true
    api.tell({})
    await page.locator('[data-testid=screen][data-live=connected]').waitFor()
    expect(api.changes.filter((change) => change.includes('agree'))).toEqual([])
  })

  /** To be looked at: `PICTURES=DIR`. */
  const picture = async (page: Page, name: string): Promise<void> => {
    const directory = process.env.PICTURES
    if (directory) await page.screenshot({ path: `${directory}/${name}-${device ? 'phone' : 'desk'}.png` })
  }
})
