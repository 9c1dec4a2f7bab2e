import { accounts, focusColour, palette } from '@anteroom/demo'
import type { Page } from 'playwright-core'
import { type Box, Screen } from './screen.ts'

const [account] = accounts
if (!account) throw new Error('the demo has no accounts')
export const person = account

export interface Moments {
  /** The login page is on the screen. */
  readonly atLogin?: () => Promise<void>
  /** Half of the name is typed; what is typed next comes behind it. */
  readonly withinName?: () => Promise<void>
  /** The name is typed, the password not yet. */
  readonly halfway?: () => Promise<void>
  /** The password comes from the clipboard of the person's own computer, as from a password manager. */
  readonly pastesPassword?: boolean
}

/** Opens the link that the integrator sent, reads what it is about, and goes on. */
export async function openAndAgree(page: Page, hostedUrl: string): Promise<void> {
  await page.goto(hostedUrl)
  await page.getByRole('button', { name: 'Continue' }).click()
}

/** Opens the link, waits for the browser in it and signs in there by hand. */
export async function signInAsPerson(page: Page, hostedUrl: string, provider: string, moments: Moments = {}) {
  await openAndAgree(page, hostedUrl)
  const screen = new Screen(page)
  await screen.connected()
  const colours = provider === 'demo' ? palette.idpLogin : palette.siteLogin
  const band = await screen.see(colours.band, 'the login page')
  await moments.atLogin?.()
  // The ring is around the field that has the focus: the name, and after Tab the password below it.
  const nameField = await screen.see(focusColour, 'the name field')
  // Each click is seen to have had its effect: in a busy browser keys overtake a click that went before them.
  await screen.click(band)
  await screen.noLongerSee(focusColour, 'the ring')
  await screen.click(nameField)
  await screen.see(focusColour, 'the name field again')
  const half = Math.ceil(person.name.length / 2)
  await screen.type(person.name.slice(0, half))
  if (moments.withinName) {
    await moments.withinName()
    await screen.connected()
  }
  await screen.type(person.name.slice(half))
  await screen.press('Tab')
  const isBelow = (box: Box): boolean => box.y > nameField.y
  await screen.see(focusColour, 'the password field', isBelow)
  if (moments.halfway) {
    await moments.halfway()
    await screen.connected()
    await screen.click(await screen.see(focusColour, 'the password field again', isBelow))
  }
  if (moments.pastesPassword) await paste(person.password, page, screen)
  else await screen.type(person.password)
  await screen.click(await screen.see(colours.button, 'the button to sign in'))
  if (provider !== 'demo') return
  await screen.see(palette.idpConsent.band, 'the consent page')
  await screen.click(await screen.see(palette.idpConsent.button, 'the button to allow'))
}

async function paste(text: string, page: Page, screen: Screen): Promise<void> {
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.evaluate((copied) => navigator.clipboard.writeText(copied), text)
  await screen.press('Control+v')
}
