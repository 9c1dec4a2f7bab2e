import { AppError, type Scope } from '@anteroom/base'
import type { CdpSession } from './cdp-connection.ts'

/** Scripts of the agent run in a world of their own, which pages can neither see nor change. */
const worldName = 'anteroom'
const interactionBinding = 'anteroomInteraction'
/** Tells once per document that the person, not a script, used it. */
const interactionScript = `(() => {
  const tell = (event) => {
    if (!event.isTrusted) return
    for (const type of types) removeEventListener(type, tell, true)
    ${interactionBinding}('')
  }
  const types = ['pointerdown', 'keydown']
  for (const type of types) addEventListener(type, tell, true)
})()`

/** A page that crashes again and again stays crashed; the person can still reload it. */
const maxReloads = 5

export type PageEvent = 'leaving' | 'navigated' | 'loaded' | 'interaction'

/** One tab or window of the person. */
export class Page {
  readonly targetId: string
  readonly #session: CdpSession
  readonly #report: (event: PageEvent) => void
  #mainFrameId = ''
  #url = ''
  #loading = false
  #crashes = 0

  private constructor(session: CdpSession, targetId: string, report: (event: PageEvent) => void) {
    this.#session = session
    this.targetId = targetId
    this.#report = report
  }

  static async attach(
    session: CdpSession,
    targetId: string,
    report: (event: PageEvent) => void,
    scope: Scope,
  ): Promise<Page> {
    const page = new Page(session, targetId, report)
    page.#listen(scope)
    await scope.race(page.#prepare())
    return page
  }

  get url(): string {
    return this.#url
  }

  get origin(): string {
    return URL.canParse(this.#url) ? new URL(this.#url).origin : 'null'
  }

  get loading(): boolean {
    return this.#loading
  }

  /** @throws AppError egress_unreachable when nothing could be loaded */
  async navigate(url: string, scope: Scope): Promise<void> {
    const { errorText } = await scope.race(this.#session.send('Page.navigate', { url }))
    // ERR_ABORTED: another navigation of the page or of the person came first, or it became a download.
    if (errorText && errorText !== 'net::ERR_ABORTED')
      throw new AppError('egress_unreachable', { detail: `${new URL(url).host}: ${errorText}` })
    // The keyboard goes to the page, not to the address bar of a new window.
    await scope.race(this.#session.send('Page.bringToFront'))
  }

  async close(scope: Scope): Promise<void> {
    await scope.race(this.#session.send('Page.close'))
  }

  /** The value of an expression in the agent's own world of the page. */
  async evaluate<T>(expression: string, scope: Scope): Promise<T> {
    return await scope.race(evaluateIsolated<T>(this.#session, this.#mainFrameId, expression))
  }

  /** Resolves when the compositor has drawn the page: the second animation frame starts after the first was handed over. */
  async untilPainted(scope: Scope): Promise<void> {
    const twoFrames = 'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))'
    await scope.until(async () => {
      try {
        return await this.evaluate<boolean>(twoFrames, scope)
      } catch (error) {
        scope.throwIfOver()
        if (error instanceof AppError) throw error
        return undefined // The document was replaced meanwhile.
      }
    }, 50)
  }

  async #prepare(): Promise<void> {
    await Promise.all([
      this.#session.send('Inspector.enable'),
      this.#session.send('Target.setAutoAttach', {
        autoAttach: true,
        waitForDebuggerOnStart: false,
        flatten: true,
        filter: [{ type: 'iframe' }],
      }),
      watchInteraction(this.#session),
    ])
    const { frameTree } = await this.#session.send('Page.getFrameTree')
    this.#mainFrameId = frameTree.frame.id
    if (!this.#url) this.#url = frameTree.frame.url
  }

  #listen(scope: Scope): void {
    const session = this.#session
    const isMain = (frameId: string): boolean => frameId === this.#mainFrameId
    session.on('Page.frameNavigated', ({ frame }) => {
      if (frame.parentId) return
      this.#mainFrameId = frame.id
      this.#url = frame.url + (frame.urlFragment ?? '')
      this.#report('navigated')
    })
    session.on('Page.navigatedWithinDocument', ({ frameId, url }) => {
      if (!isMain(frameId)) return
      this.#url = url
      this.#report('navigated')
    })
    session.on('Page.frameStartedLoading', ({ frameId }) => {
      if (!isMain(frameId)) return
      this.#loading = true
      this.#report('leaving')
    })
    session.on('Page.frameStoppedLoading', ({ frameId }) => {
      if (!isMain(frameId)) return
      this.#loading = false
      this.#report('loaded')
    })
    session.on('Runtime.bindingCalled', ({ name }) => {
      if (name === interactionBinding) this.#report('interaction')
    })
    session.on('Inspector.targetCrashed', () => {
      this.#crashes += 1
      scope.log.warn({ crashes: this.#crashes }, 'a page crashed')
      if (this.#crashes > maxReloads) return
      session.send('Page.reload').catch((error: unknown) => scope.log.warn({ error }, 'a page could not be reloaded'))
    })
  }
}

/** Also for frames of other sites, which have sessions of their own: sign-in forms are often such frames. */
export async function watchInteraction(session: CdpSession): Promise<void> {
  await session.send('Page.enable')
  await session.send('Page.enable')
  // Bindings for a world of its own work only with it.
  await session.send('Runtime.enable')
  await session.send('Runtime.addBinding', { name: interactionBinding, executionContextName: worldName })
  await session.send('Page.addScriptToEvaluateOnNewDocument', {
    source: interactionScript,
    worldName,
    runImmediately: true,
  })
}

export const isInteraction = (bindingName: string): boolean => bindingName === interactionBinding

export async function evaluateIsolated<T>(session: CdpSession, frameId: string, expression: string): Promise<T> {
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId, worldName })
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
    expression,
    contextId: executionContextId,
    awaitPromise: true,
    returnByValue: true,
  })
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
  return result.value as T
}
