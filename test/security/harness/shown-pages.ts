import type { CreatedSession } from '@anteroom/contract'
import type { Frame, Page } from 'playwright-core'
import type { Tally } from './attempts.ts'
import type { WebWorld } from './web-world.ts'

/** Did the frame show a page of ours? A browser that refuses one puts a page of its own in the place. */
const isShown = (frame: Frame): Promise<boolean> => frame.evaluate(() => document.getElementById('root') !== null)

const elements: Record<string, (url: string) => string> = {
  iframe: (url) => `<iframe src="${url}"></iframe>`,
  object: (url) => `<object data="${url}" type="text/html"></object>`,
  embed: (url) => `<embed src="${url}" type="text/html">`,
}

/** By element and path: what a page at `host` shows of ours when it has all of them in it. */
export async function framesAt(world: WebWorld, host: string, paths: readonly string[]): Promise<[string, boolean][]> {
  const { context } = await world.victim()
  const { url } = world.door.edge
  const html = paths.flatMap((path) => Object.values(elements).map((element) => element(url + path))).join('')
  const page = await world.evilPage(context, host, html)
  await page.waitForLoadState('networkidle')
  const kinds = paths.flatMap((path) => Object.keys(elements).map((element) => `${element} of ${path} at ${host}`))
  const shown = await Promise.all(
    (await page.$$('iframe, object, embed')).map(async (element) => {
      const frame = await element.contentFrame()
      return frame !== null && (await isShown(frame))
    }),
  )
  await context.close()
  return kinds.map((kind, at) => [kind, shown[at] ?? true])
}

const scripts = [
  '<script>window.hacked=1</script>',
  '<img src=x onerror="window.hacked=1">',
  '"><svg onload="window.hacked=1">',
  `'-window.hacked=1-'`,
  '</title><script>window.hacked=1</script>',
  '{{constructor.constructor("window.hacked=1")()}}',
  'javascript:window.hacked=1',
  '<a href="javascript:window.hacked=1" autofocus onfocus="window.hacked=1">x</a>',
  '<style>@import "http://evil.test/"</style>',
  '<iframe srcdoc="<script>parent.hacked=1</script>"></iframe>',
] as const

/** undefined: it is text on the page, and nothing else. */
async function inert(page: Page, text: string): Promise<string | undefined> {
  await page.getByText(text, { exact: false }).first().waitFor()
  const seen = await page.evaluate(() => ({
    ran: 'hacked' in window,
    grown: document.querySelectorAll(
      'main script, main iframe, main style, main [onerror], main [onload], main [onfocus]',
    ).length,
    links: [...document.links].filter(({ protocol }) => !/^https?:$/.test(protocol)).length,
  }))
  return seen.ran || seen.grown > 0 || seen.links > 0 ? JSON.stringify(seen) : undefined
}

export async function tryScripts(world: WebWorld, tally: Tally): Promise<void> {
  const { edge } = world.door
  const bare = world.provider
  const context = await world.newContext()
  const page = await context.newPage()
  const ids: string[] = []
  for (const script of scripts) {
    world.provider = { ...bare, title: `Title ${script}`, opens: script, captures: [`Capture ${script}`] }
    const asked = { provider: 'demo', subject: `Subject ${script}` }
    const created = (await (await edge.call('POST', '/v1/sessions', asked)).json()) as CreatedSession
    ids.push(created.id)
    await page.goto(created.hosted_url)
    for (const text of [world.provider.title, asked.subject, ...world.provider.captures])
      await tally.try('on the hosted page', () => inert(page, text))
  }
  await page.goto(`${edge.url}/sign-in#token=${await edge.access.newSignInToken(60)}`)
  for (const text of [world.provider.title, ...scripts.map((script) => `Subject ${script}`)])
    await tally.try('in the dashboard', () => inert(page, text))
  await context.close()
  for (const id of ids) await edge.sessions.requestEnd(id, 'cancelled')
  world.provider = bare
}
