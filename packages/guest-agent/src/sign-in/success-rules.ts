import type { WebsiteProvider } from '@anteroom/contract'
import { matchesHost, namedHosts } from './host-patterns.ts'

export interface BrowserFacts {
  readonly cookies: readonly { name: string; value: string; domain: string; path: string }[]
  /** Addresses of all tabs. */
  readonly urls: readonly string[]
}

type Rule = { cookie: string } | { url: string }

/**
 * Decides by a provider's rules whether the person is signed in, on fresh state only: what held before the person did
 * anything (a cookie for every visitor, a start page that matches) counts only once it has changed.
 */
export class SuccessRules {
  readonly #rules: readonly Rule[]
  readonly #needsAll: boolean
  readonly #hosts: readonly string[]
  /** For each rule what made it hold before; no longer what has gone since. */
  #stale: Set<string>[]
  #interacted = false

  constructor(provider: WebsiteProvider) {
    const { success } = provider
    this.#needsAll = success !== undefined && 'all' in success
    this.#rules = success === undefined ? [] : 'all' in success ? success.all : success.any
    this.#hosts = namedHosts(provider)
    this.#stale = this.#rules.map(() => new Set())
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0
  }

  /** What holds now is what held when the person began. */
  interactionBegins(facts: BrowserFacts): void {
    if (!this.#interacted) this.#stale = this.#rules.map((rule) => this.#witnesses(rule, facts))
    this.#interacted = true
  }

  holdFreshly(facts: BrowserFacts): boolean {
    if (this.#rules.length === 0) return false
    const witnesses = this.#rules.map((rule) => this.#witnesses(rule, facts))
    if (!this.#interacted) {
      this.#stale = witnesses
      return false
    }
    this.#stale = this.#stale.map((stale, index) => new Set([...stale].filter((one) => witnesses[index]?.has(one))))
    const fresh = witnesses.map((found, index) => [...found].some((one) => !this.#stale[index]?.has(one)))
    return this.#needsAll ? fresh.every(Boolean) : fresh.some(Boolean)
  }

  /** What makes the rule hold; a change of it is a change of state even where the rule held throughout. */
  #witnesses(rule: Rule, { cookies, urls }: BrowserFacts): Set<string> {
    const isNamed = (host: string): boolean => this.#hosts.some((pattern) => matchesHost(pattern, host))
    if ('url' in rule) return new Set(urls.filter((url) => matchesUrl(rule.url, url) && isNamed(new URL(url).hostname)))
    const named = cookies.filter(({ name, value, domain }) => name === rule.cookie && value !== '' && isNamed(domain))
    return new Set(named.map(({ domain, path, value }) => JSON.stringify([domain, path, value])))
  }
}

/** The fragment counts only for a rule that has one. */
function matchesUrl(pattern: string, url: string): boolean {
  if (!/^https?:/.test(url)) return false
  const address = pattern.includes('#') ? url : url.replace(/#.*$/, '')
  return pattern.endsWith('*') ? address.startsWith(pattern.slice(0, -1)) : address === pattern
}
