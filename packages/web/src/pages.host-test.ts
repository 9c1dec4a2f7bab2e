import { liveCloseCodes, type Session } from '@anteroom/contract'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { ApiDouble } from '../test/api-double.ts'
import { pagesInBrowser } from '../test/pages-in-browser.ts'
import type { RfbDouble } from '../test/rfb-double.ts'
import { completed, failed, ready, sampleProvider, sampleSession, sampleSite } from '../test/sample.ts'
import { closeWords } from './live/close-words.ts'
import { keysymOf, keysyms } from './live/typed-text.ts'

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } as const

const pages = pagesInBrowser()
const { newPage } = pages
let api: ApiDouble
beforeEach(() => {
  api = pages.api
})

async function openLive(options?: BrowserContextOptions, session = ready()): Promise<Page> {
  api.become(session)
  api.agreed = true
  const page = await newPage(options)
  await page.goto(api.hostedUrl)
  await connected(page)
  return page
}

const connected = (page: Page): Promise<void> => page.locator('[data-testid=screen][data-live=connected]').waitFor()
const lastView = (): RfbDouble => {
  const view = pages.views.at(-1)
  if (!view) throw new Error('nothing has opened a live view')
  return view
}
const pressed = (text: string): number[] => Array.from(text).map(keysymOf)

test('a link opens once: its secret leaves the address, a reload stays, another browser is told', async () => {
  const page = await newPage()
  await page.goto(api.hostedUrl)
  await page.getByRole('heading', { name: 'Connect Demo identity' }).waitFor()
  expect(page.url()).toBe(`${api.url}/connect/${api.session.id}`)
  await page.reload()
  await page.getByRole('heading', { name: 'Connect Demo identity' }).waitFor()
  expect(api.changes).toEqual(['POST /v1/sessions/SESSION/entry'])

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
  await page.getByRole('button', { name: 'Continue' }).click()
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

describe('before anything begins', () => {
  test.each([
    ['desktop', undefined],
    ['phone', phone],
  ])('the person reads who asks, for whom, what opens and what is kept, on one screen: %s', async (_, device) => {
    api.become(ready())
    const page = await newPage(device)
    await page.goto(api.hostedUrl)
    for (const fact of ['Example Ltd', 'ada@example.com', sampleProvider.opens, ...sampleProvider.captures])
      await page.getByText(fact).waitFor()
    for (const name of ['Continue', 'Decline']) {
      const { y = 0, height = 0 } = (await page.getByRole('button', { name }).boundingBox()) ?? {}
      expect(y > 0 && y + height <= (page.viewportSize()?.height ?? 0)).toBe(true)
    }
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(page.viewportSize()?.width)
    // The machine is ready, and no screen is asked for.
    await page.getByText('The computer is ready').waitFor()
    expect(api.changes).toEqual(['POST /v1/sessions/SESSION/entry'])
    await page.getByRole('button', { name: 'Continue' }).click()
    await connected(page)
    const later = ['agree', 'tickets'].map((what) => `POST /v1/sessions/SESSION/${what}`)
    expect(api.changes.slice(1)).toEqual(later)
    await page.reload()
    await connected(page)
  })

  test('declining ends it, and no screen was ever asked for', async () => {
    api.become(ready())
    const page = await newPage()
    await page.goto(api.hostedUrl)
    await page.getByRole('button', { name: 'Decline' }).click()
    await vi.waitFor(() => expect(api.changes).toContain('POST /v1/sessions/SESSION/cancel'))
    api.become(failed({ outcome: 'cancelled', failure: null }))
    await page.getByRole('heading', { name: 'This sign-in was cancelled' }).waitFor()
    expect(api.changes.filter((change) => /tickets|agree/.test(change))).toEqual([])
  })

  test('where nobody is named it is whoever runs the service', async () => {
    api.askedBy = null
    const page = await newPage()
    await page.goto(api.hostedUrl)
    await page.getByText(`Whoever runs ${new URL(api.url).host}`).waitFor()
  })
})

test('the screen is asked for as soon as an event says ready, and no older answer takes it away', async () => {
  api.agreed = true
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

/** The session ends before somebody who has come in. */
async function seeEnd(session: Session): Promise<Page> {
  const page = await newPage()
  await page.goto(api.hostedUrl)
  await page.getByText('ada@example.com').waitFor()
  api.become(session)
  return page
}

test('a failure is told in words for the person, without what is for the operator', async () => {
  const page = await seeEnd(failed())
  await page.getByText(String(failed().failure?.message)).waitFor()
  const words = await page.locator('body').textContent()
  expect(words).toContain('vmm_exited')
  expect(words).not.toContain(failed().failure?.detail)
})

test('an address to return to that is not of the web is no link', async () => {
  const page = await seeEnd(completed({ return_url: 'javascript:alert(1)' }))
  await page.getByText('You can close this page').waitFor()
  expect(await page.locator('main a').count()).toBe(0)
})

test('who opens the link only after the end is told how it ended, again on a reload, and nothing of the account', async () => {
  api.session = failed({ return_url: 'https://app.example.com/back' })
  const page = await newPage()
  await page.goto(api.hostedUrl)
  for (let time = 1; time <= 2; time += 1) {
    await page.getByText(String(failed().failure?.message)).waitFor()
    await page.getByText('had ended before its link was opened').waitFor()
    await page.getByRole('link', { name: 'Return to app.example.com' }).waitFor()
    await page.reload()
  }
  expect(await page.locator('body').textContent()).not.toContain('ada@example.com')
  expect(await page.context().cookies()).toEqual([])
})

const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString()

describe('limits', () => {
  const extended = (): number => api.changes.filter((change) => change.endsWith('/extend')).length

  test('idle: told in the bar without taking focus or room; one click renews it, and the keyboard stays with the machine', async () => {
    const page = await openLive()
    const room = await page.getByTestId('screen').boundingBox()
    api.become({ ...api.session, idle_expires_at: inSeconds(42) })
    const warning = page.getByTestId('limit')
    await warning.getByText('Are you still there?').waitFor()
    await warning.getByText(/^0:(4|3)\d$/).waitFor()
    expect(await page.getByTestId('screen').boundingBox()).toEqual(room)
    await expect.poll(() => page.title()).toContain('Are you still there?')
    await page.getByRole('button', { name: 'I am still here' }).click()
    await warning.waitFor({ state: 'detached' })
    expect(extended()).toBe(1)
    await expect.poll(() => page.title()).toContain('Sign in to')
    await page.keyboard.type('ada')
    await vi.waitFor(() => expect(lastView().pressed).toEqual(pressed('ada')))
  })

  test('idle: whoever goes on typing needs no button', async () => {
    const page = await openLive(undefined, ready({ idle_expires_at: inSeconds(42) }))
    await page.getByTestId('limit').waitFor()
    await page.keyboard.type('a')
    await page.getByTestId('limit').waitFor({ state: 'detached' })
    expect(extended()).toBe(0)
  })

  test('the hard limit is put off as far as it may be, by the keyboard too, and then it is told that it is the last', async () => {
    const page = await openLive(
      undefined,
      ready({ created_at: inSeconds(-800), expires_at: inSeconds(100), may_extend_until: inSeconds(110) }),
    )
    const warning = page.getByTestId('limit')
    await warning.getByText('Time is nearly up.').waitFor()
    await page.keyboard.press('F6')
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('I need more time')
    await page.keyboard.press('Enter')
    await warning.getByText('cannot be extended any more').waitFor()
    expect(await page.getByRole('button', { name: 'I need more time' }).count()).toBe(0)
    await page.keyboard.type('ada')
    await vi.waitFor(() => expect(lastView().pressed).toEqual(pressed('ada')))
  })

  test('are told while the computer is prepared, too', async () => {
    api.become(sampleSession({ expires_at: inSeconds(9) }))
    const page = await newPage()
    await page.goto(api.hostedUrl)
    await page.getByRole('button', { name: 'I need more time' }).click()
    await page.getByTestId('limit').waitFor({ state: 'detached' })
    expect(extended()).toBe(1)
  })

  test('an extension that does not arrive is told, and the button stays', async () => {
    const page = await openLive(undefined, ready({ idle_expires_at: inSeconds(42) }))
    await page.getByTestId('limit').waitFor()
    await page.route('**/extend', (route) => route.abort())
    await page.getByRole('button', { name: 'I am still here' }).click()
    await page.getByText('The service does not answer right now. Please try again.').waitFor()
    await page.unroute('**/extend')
    await page.getByRole('button', { name: 'I am still here' }).click()
    await page.getByTestId('limit').waitFor({ state: 'detached' })
  })

  test('on a phone the warning, its button and Cancel have room beside each other', async () => {
    const page = await openLive(phone)
    const room = await page.getByTestId('screen').boundingBox()
    api.become({ ...api.session, idle_expires_at: inSeconds(42) })
    await page.getByTestId('limit').waitFor()
    expect(await page.getByTestId('screen').boundingBox()).toEqual(room)
    for (const name of ['I am still here', 'Cancel', 'Keyboard', 'Paste']) {
      const box = await page.getByRole('button', { name }).boundingBox()
      expect((box?.x ?? -1) >= 0 && (box?.x ?? 0) + (box?.width ?? 0) <= 390).toBe(true)
    }
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
  })
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
  expect(pages.views).toHaveLength(2)
})

test('a service that is gone is told in words, and the screen is back soon after it', async () => {
  const page = await openLive()
  await api.goAway()
  await page.getByText('The service does not answer right now.').first().waitFor()
  await page.getByText('Your sign-in is not lost').waitFor()
  await api.comeBack()
  await connected(page)
  await page.getByText('does not answer').first().waitFor({ state: 'detached' })
  await page.keyboard.type('ada')
  await vi.waitFor(() => expect(lastView().pressed).toEqual(pressed('ada')))
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
