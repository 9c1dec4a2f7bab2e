import { existsSync } from 'node:fs'
import { chown, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { AppError, type Scope } from '@anteroom/base'
import type { Protocol } from 'devtools-protocol'
import type { AgentConfig } from '../agent-config.ts'
import { childEnvironment } from '../desktop/desktop.ts'
import { type ProcessState, SupervisedProcess } from '../desktop/supervised-process.ts'
import { Pulse } from '../pulse.ts'
import { BrowserRenewal } from './browser-renewal.ts'
import { CdpConnection } from './cdp-connection.ts'
import { chromiumArgs } from './chromium-args.ts'
import { evaluateIsolated, isInteraction, Page, type PageEvent, watchInteraction } from './page.ts'

/** The person's Chromium: kept running, always with a window, always at the page it should be at. */
export class Browser {
  readonly #process: SupervisedProcess
  readonly #renewal: BrowserRenewal
  readonly #scope: Scope
  readonly #config: AgentConfig
  readonly #report: (state: ProcessState) => void
  readonly #pages = new Map<string, Page>()
  readonly #listeners = new Set<(event: PageEvent) => void>()
  #state: ProcessState = 'starting'
  readonly #stateChanged = new Pulse()
  #cdp: CdpConnection | undefined
  readonly #pageAttached = new Pulse()
  #home: string

  constructor(
    config: AgentConfig,
    desktop: { untilUp(scope: Scope): Promise<void> },
    scope: Scope,
    report: (state: ProcessState) => void,
  ) {
    this.#config = config
    this.#scope = scope
    this.#report = report
    this.#home = existsSync(config.startPageFile) ? pathToFileURL(config.startPageFile).href : 'about:blank'
    const profileDir = join(config.personHome, 'profile')
    this.#process = new SupervisedProcess(
      {
        name: 'browser',
        file: config.programs.browser,
        args: chromiumArgs(config, profileDir),
        env: {
          ...childEnvironment(config.personHome),
          DISPLAY: `:${config.display.number}`,
          // What it keeps in a temporary directory goes with its home.
          TMPDIR: config.personHome,
          // There is no bus in the machine; without this Chromium looks for one and waits.
          DBUS_SESSION_BUS_ADDRESS: 'disabled:',
        },
        user: config.users?.person,
        noise: /ERROR:dbus\//,
        extraPipes: 2,
        beforeStart: async (starting) => {
          await desktop.untilUp(starting)
          // Names the host of a browser that died; under another name, since the claim, the next one would not take it over.
          await rm(join(profileDir, 'SingletonLock'), { force: true })
        },
        untilUp: (child, starting) =>
          this.#connect(child.stdio[3] as Writable, child.stdio[4] as unknown as Readable, starting),
        afterEnd: () => this.#disconnect(),
      },
      scope,
      (state) => this.#setState(state),
    )
    this.#renewal = new BrowserRenewal(() => this.#process.pid)
  }

  /** Starts with an empty home, whatever an earlier run left. */
  async start(): Promise<void> {
    const { personHome, users } = this.#config
    await this.#removeHome()
    await mkdir(personHome, { recursive: true, mode: 0o700 })
    if (users) await chown(personHome, users.person.uid, users.person.gid)
    this.#process.start()
  }

  /** Leaves no process in it that holds random state for pages to come. */
  async endSpareRenderers(scope: Scope): Promise<void> {
    await this.untilUp(scope)
    await this.#renewal.endSpareRenderers(scope)
  }

  /** Stands still, to be saved with its machine, until it is renewed. @throws AppError internal when it could not be */
  async freeze(scope: Scope): Promise<void> {
    await this.#renewal.freeze(scope)
  }

  /** Nothing that it draws from here on is drawn by another one that was saved with it. */
  renew(): void {
    this.#renewal.renew()
  }

  /** Ends the browser and removes everything it kept. */
  async wipe(): Promise<void> {
    await this.#process.stop()
    this.#setState('starting')
    await this.#removeHome()
  }

  get pages(): readonly Page[] {
    return [...this.#pages.values()]
  }

  /** Shows a page in the first tab, and there again whenever the browser or its last window has to come back. */
  async show(url: string, scope: Scope): Promise<void> {
    await this.untilUp(scope)
    this.#home = url
    const page = this.pages[0]
    if (page) await page.navigate(url, scope)
    else await this.#openWindow(scope)
  }

  /** Where the browser comes back to from now on. */
  setHome(url: string): void {
    this.#home = url
  }

  /** @throws AppError browser_crashed when it is lost for good */
  async untilUp(scope: Scope): Promise<void> {
    while (this.#state !== 'up') {
      if (this.#state === 'lost') throw new AppError('browser_crashed', { detail: 'it ended too often in a row' })
      await this.#stateChanged.next(scope)
    }
  }

  /** @returns a function that ends it */
  onPageEvent(listener: (event: PageEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async cookies(scope: Scope): Promise<Protocol.Network.Cookie[]> {
    return (await scope.race(this.#connected().browser.send('Storage.getCookies'))).cookies
  }

  /**
   * Evaluates an expression once at each origin, in a document that the agent makes up: nothing of the site runs, and
   * nothing shows.
   */
  async evaluateAt<T>(origins: readonly string[], expression: string, scope: Scope): Promise<T[]> {
    const cdp = this.#connected()
    const { targetId } = await scope.race(cdp.browser.send('Target.createTarget', { url: 'about:blank', hidden: true }))
    try {
      const { sessionId } = await scope.race(cdp.browser.send('Target.attachToTarget', { targetId, flatten: true }))
      const session = cdp.session(sessionId)
      session.on('Fetch.requestPaused', ({ requestId }) => {
        const answer = {
          requestId,
          responseCode: 200,
          body: '',
          responseHeaders: [{ name: 'content-type', value: 'text/html' }],
        }
        session
          .send('Fetch.fulfillRequest', answer)
          .catch((error: unknown) => scope.log.warn({ error }, 'not fulfilled'))
      })
      // A service worker would answer before the interception, with a page of the site.
      await scope.race(session.send('Network.enable'))
      await scope.race(session.send('Network.setBypassServiceWorker', { bypass: true }))
      await scope.race(session.send('Fetch.enable', {}))
      const results: T[] = []
      for (const origin of origins) {
        const { frameId, errorText } = await scope.race(session.send('Page.navigate', { url: `${origin}/` }))
        if (errorText) throw new Error(`no document at ${origin}: ${errorText}`)
        results.push(await scope.race(evaluateIsolated<T>(session, frameId, expression)))
      }
      return results
    } finally {
      cdp.browser
        .send('Target.closeTarget', { targetId })
        .catch((error: unknown) => scope.log.debug({ error }, 'the hidden page was gone already'))
    }
  }

  #connected(): CdpConnection {
    if (!this.#cdp) throw new AppError('browser_crashed', { detail: 'the browser is being started again' })
    return this.#cdp
  }

  async #connect(toBrowser: Writable, fromBrowser: Readable, scope: Scope): Promise<void> {
    const cdp = new CdpConnection(toBrowser, fromBrowser)
    this.#cdp = cdp
    cdp.browser.on('Target.attachedToTarget', ({ sessionId, targetInfo }) => {
      this.#attach(cdp, sessionId, targetInfo.targetId).catch((error: unknown) =>
        this.#scope.log.debug({ error }, 'a page was gone before it was known'),
      )
    })
    cdp.browser.on('Target.detachedFromTarget', ({ sessionId }) => this.#detach(cdp, sessionId))
    const attaching = { autoAttach: true, waitForDebuggerOnStart: false, flatten: true, filter: [{ type: 'page' }] }
    await scope.race(cdp.browser.send('Target.setAutoAttach', attaching))
    while (this.#pages.size === 0) await this.#pageAttached.next(scope)
    const page = this.pages[0]
    try {
      await page?.navigate(this.#home, scope)
    } catch (error) {
      // The browser works, its page of errors says the rest.
      this.#scope.log.warn({ error }, 'the page could not be shown')
    }
    await page?.untilPainted(scope)
  }

  async #attach(cdp: CdpConnection, sessionId: string, targetId: string): Promise<void> {
    const session = cdp.session(sessionId)
    session.on('Target.attachedToTarget', (frame) => this.#attachFrame(cdp, frame.sessionId))
    session.on('Target.detachedFromTarget', (frame) => cdp.forget(frame.sessionId))
    const page = await Page.attach(session, targetId, (event) => this.#tell(event), this.#scope)
    if (this.#cdp !== cdp) return
    this.#pages.set(sessionId, page)
    this.#pageAttached.beat()
    this.#tell('navigated')
  }

  #attachFrame(cdp: CdpConnection, sessionId: string): void {
    const session = cdp.session(sessionId)
    session.on('Runtime.bindingCalled', ({ name }) => {
      if (isInteraction(name)) this.#tell('interaction')
    })
    watchInteraction(session).catch((error: unknown) =>
      this.#scope.log.debug({ error }, 'a frame was gone before it was known'),
    )
  }

  #detach(cdp: CdpConnection, sessionId: string): void {
    cdp.forget(sessionId)
    if (!this.#pages.delete(sessionId) || this.#pages.size > 0) return
    this.#scope.log.info({}, 'the last window was closed; opening another')
    this.#openWindow(this.#scope).catch((error: unknown) =>
      this.#scope.log.debug({ error }, 'no new window: the browser is ending'),
    )
  }

  async #openWindow(scope: Scope): Promise<void> {
    const window = { url: this.#home, newWindow: true, windowState: 'maximized' } as const
    await scope.race(this.#connected().browser.send('Target.createTarget', window))
  }

  #disconnect(): void {
    this.#cdp = undefined
    this.#pages.clear()
  }

  #tell(event: PageEvent): void {
    for (const listener of this.#listeners) listener(event)
  }

  #setState(state: ProcessState): void {
    this.#state = state
    this.#stateChanged.beat()
    this.#report(state)
  }

  async #removeHome(): Promise<void> {
    // Processes of the browser may still be writing for a moment after they were told to end.
    await rm(this.#config.personHome, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }
}
