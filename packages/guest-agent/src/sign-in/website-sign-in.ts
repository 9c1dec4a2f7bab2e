import { AppError, type Scope } from '@anteroom/base'
import type { WebsiteProvider } from '@anteroom/contract'
import type { Browser } from '../browser/browser.ts'
import { type Capture, captureWebsite } from '../capture/website-capture.ts'
import { deferred } from '../deferred.ts'
import type { EgressBridge } from '../egress-bridge.ts'
import { Pulse } from '../pulse.ts'
import type { SignInMethod } from './sign-in-method.ts'
import { type BrowserFacts, SuccessRules } from './success-rules.ts'

/** Chromium has no event for "a cookie changed". */
const cookiePollMs = 1000
/** A redirect by script follows within this time; longer, and the person sees the page as settled too. */
const quietMs = 1000
/** A page that never stops loading is judged as it is. */
const settleDeadlineMs = 15_000

export class WebsiteSignIn implements SignInMethod {
  readonly #provider: WebsiteProvider
  readonly #browser: Browser
  readonly #egress: Pick<EgressBridge, 'throughCuts'>
  readonly #confirmed = deferred()

  constructor(provider: WebsiteProvider, browser: Browser, egress: Pick<EgressBridge, 'throughCuts'>) {
    this.#provider = provider
    this.#browser = browser
    this.#egress = egress
  }

  async untilSignedIn(waiting: () => void, scope: Scope): Promise<void> {
    const rules = new SuccessRules(this.#provider)
    const activity = watchActivity(this.#browser)
    try {
      await this.#egress.throughCuts(() => this.#browser.show(this.#provider.start_url, scope), scope)
      waiting()
      const signs = rules.isEmpty ? [] : [this.#untilRulesHold(rules, activity, scope)]
      await scope.race(Promise.race([this.#confirmed.promise, ...signs]))
    } finally {
      activity.end()
    }
  }

  confirm(): void {
    this.#confirmed.resolve()
  }

  async capture(scope: Scope): Promise<Capture> {
    return await captureWebsite(this.#browser, this.#provider, scope)
  }

  async forget(): Promise<void> {}

  async #untilRulesHold(rules: SuccessRules, activity: Activity, scope: Scope): Promise<void> {
    let before: BrowserFacts = { cookies: [], urls: [] }
    for (;;) {
      try {
        const facts = await this.#facts(scope)
        // One who types fast is signed in before the cookies of before could be asked for: then what was last seen counts.
        if (activity.interacted) rules.interactionBegins(activity.leftSince ? before : facts)
        else before = facts
        if (rules.holdFreshly(facts)) {
          await this.#untilSettled(activity, scope)
          if (rules.holdFreshly(await this.#facts(scope))) return
        }
      } catch (error) {
        // The browser ended in between: it comes back with its profile, or is lost for good.
        scope.throwIfOver()
        if (!(error instanceof AppError && error.code === 'browser_crashed')) throw error
        await this.#browser.untilUp(scope)
      }
      // After a failure too: the browser's end is known a moment before its state is, and asking at once would never let
      // the news come in.
      await activity.next(cookiePollMs, scope)
    }
  }

  async #facts(scope: Scope): Promise<BrowserFacts> {
    const cookies = await this.#browser.cookies(scope)
    return { cookies, urls: this.#browser.pages.map(({ url }) => url) }
  }

  async #untilSettled(activity: Activity, scope: Scope): Promise<void> {
    const until = scope.clock.monotonic() + settleDeadlineMs
    while (scope.clock.monotonic() < until) {
      const seen = activity.navigations
      await scope.race(scope.clock.delay(quietMs, scope.signal))
      if (activity.navigations === seen && !this.#browser.pages.some(({ loading }) => loading)) return
    }
  }
}

interface Activity {
  readonly interacted: boolean
  /** Has a page been left since the first interaction? */
  readonly leftSince: boolean
  readonly navigations: number
  /** The next thing that happens in the browser, or `ms`. */
  next(ms: number, scope: Scope): Promise<void>
  end(): void
}

function watchActivity(browser: Browser): Activity {
  let interacted = false
  let leftSince = false
  let navigations = 0
  const happened = new Pulse()
  const end = browser.onPageEvent((event) => {
    if (event === 'interaction') interacted = true
    else if (event !== 'loaded') leftSince ||= interacted
    if (event === 'navigated') navigations += 1
    happened.beat()
  })
  return {
    get interacted() {
      return interacted
    },
    get leftSince() {
      return leftSince
    },
    get navigations() {
      return navigations
    },
    next: (ms, scope) => happened.next(scope, ms),
    end,
  }
}
