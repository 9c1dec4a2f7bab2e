import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, afterEach, beforeAll, beforeEach, expect, vi } from 'vitest'
import { ApiDouble } from './api-double.ts'
import { type RfbDouble, serveRfb } from './rfb-double.ts'

const browserFlags = ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync']

export interface PagesInBrowser {
  /** A new one for each test. */
  readonly api: ApiDouble
  /** The live views, in the order in which they were opened. */
  readonly views: RfbDouble[]
  newPage(options?: BrowserContextOptions): Promise<Page>
}

/** For the tests of one file: the built pages in Chromium, over the double of the controller. */
export function pagesInBrowser(): PagesInBrowser {
  let root: string
  let browser: Browser
  let api: ApiDouble
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

  return {
    get api() {
      return api
    },
    get views() {
      return views
    },
    async newPage(options = {}) {
      const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })).newPage()
      page.on('pageerror', (error) => complaints.push(String(error)))
      page.on('console', (message) => {
        // Refusals are part of these tests, and so is a service that is gone.
        const isExpected = /status of 40|net::ERR_/.test(message.text())
        if (message.type() === 'error' && !isExpected) complaints.push(message.text())
      })
      return page
    },
  }
}
