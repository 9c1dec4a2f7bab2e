import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ProviderSummary } from '@anteroom/contract'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { build } from 'vite'
import { vi } from 'vitest'
import { openDoor } from './live-door.ts'

type Door = Awaited<ReturnType<typeof openDoor>>

/** Names that lead here: a site of its own, and the controller's own host, whose cookies go to every port. */
export const evilHosts = ['evil.test', '127.0.0.1'] as const

export interface WebWorld {
  readonly door: Door
  /** May show the hosted page in a frame. */
  readonly friend: string
  /** What the definition of the provider says about itself. */
  provider: ProviderSummary
  /** A page of somebody else's, at one of `evilHosts` or the friend; `body` is its HTML. */
  evilPage(context: BrowserContext, host: string, body?: string): Promise<Page>
  /** How the controller answers the next request to `path`: browsers do not tell of every answer. */
  answerTo(path: string): Promise<number>
  /** Headers of the requests that came to the pages of somebody else. */
  readonly overheard: string[]
  /** A browser in which somebody is the operator and the account owner of a session that is ready, at once. */
  victim(): Promise<{ context: BrowserContext; session: { id: string; secret: string } }>
  newContext(): Promise<BrowserContext>
  stop(): Promise<void>
}

/** The controller's edge with the built pages, a Chromium, and pages of others on a port of their own. */
export async function openWebWorld(hostedPage: object = {}): Promise<WebWorld> {
  const webRoot = await builtPages()
  let body = ''
  const overheard: string[] = []
  const others = createServer((request, response) => {
    overheard.push(JSON.stringify(request.headers))
    response.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><body>${body}</body>`)
  })
  await new Promise<void>((resolve) => others.listen(0, '127.0.0.1', resolve))
  const { port } = others.address() as AddressInfo
  const friend = `http://localhost:${port}`
  const summary: ProviderSummary = {
    ...{ name: 'demo', title: 'Demo identity', kind: 'oauth2', opens: 'http://idp.demo.test/' },
    ...{ captures: ['Access to your account'], demo: false },
  }
  const providers = { list: () => [world.provider], problems: () => [] }
  const door = await openDoor({
    hostedPage: { frame_ancestors: [friend], ...hostedPage },
    overrides: { webRoot, providers },
  })
  const browser: Browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--host-resolver-rules=MAP *.test 127.0.0.1', '--disable-background-networking'],
  })
  const world: WebWorld = {
    ...{ door, friend, overheard, provider: summary },
    newContext: () => browser.newContext(),
    answerTo: (path) =>
      new Promise((resolve, reject) => {
        AbortSignal.timeout(30_000).onabort = () => reject(new Error(`nobody asked for ${path}`))
        const { server } = door.edge.http.app
        const listen = (request: IncomingMessage, response: ServerResponse): void => {
          if (request.url !== path) return
          server.off('request', listen)
          // Also where the connection ends before the whole answer is out.
          response.once('close', () => resolve(response.statusCode))
        }
        server.on('request', listen)
      }),
    async evilPage(context, host, html = '') {
      body = html
      const page = await context.newPage()
      await page.goto(`http://${host}:${port}/`)
      return page
    },
    async victim() {
      const context = await browser.newContext()
      const session = await door.readySession()
      const cookies = `${await door.edge.operatorVisit()}; ${await door.edge.visitorOf(session)}`
      await context.addCookies(
        cookies.split('; ').map((cookie) => {
          const [name = '', value = ''] = cookie.split('=')
          // As the controller sets them.
          return { name, value, domain: '127.0.0.1', path: '/', httpOnly: true, sameSite: 'Strict' as const }
        }),
      )
      return { context, session }
    },
    async stop() {
      await browser.close()
      await door.stop()
      others.closeAllConnections()
      await new Promise((resolve) => others.close(resolve))
      await rm(webRoot, { recursive: true })
    },
  }
  return world
}

async function builtPages(): Promise<string> {
  const outDir = await mkdtemp(join(tmpdir(), 'anteroom-pages-'))
  // Vitest's own would make a development build of React.
  vi.stubEnv('NODE_ENV', 'production')
  await build({
    configFile: join(import.meta.dirname, '../../../packages/web/vite.config.ts'),
    logLevel: 'warn',
    build: { outDir, emptyOutDir: true },
  })
  vi.unstubAllEnvs()
  return outDir
}
