import type { Scope } from '@anteroom/base'
import type { CaptureSummary, CredentialValue, StorageState, WebsiteProvider } from '@anteroom/contract'
import type { Protocol } from 'devtools-protocol'
import type { Browser } from '../browser/browser.ts'
import { matchesHost } from '../sign-in/host-patterns.ts'
import { collectSessionStorage, collectStorage, type NamedValue, type OriginStorage } from './storage-script.ts'

export interface Capture {
  readonly value: CredentialValue
  readonly summary: CaptureSummary
}

/** Exactly what the definition names, and nothing else the browser holds. */
export async function captureWebsite(browser: Browser, provider: WebsiteProvider, scope: Scope): Promise<Capture> {
  const { cookies: patterns, storage } = provider.capture
  const allCookies = patterns.length > 0 ? await browser.cookies(scope) : []
  const cookies = allCookies.filter(({ domain }) => patterns.some((pattern) => matchesHost(pattern, domain)))
  // Session storage belongs to a tab, so it must be read before anything else opens, and from the person's own.
  const sessionStorage = await collectSessions(browser, storage, scope)
  const collected =
    storage.length > 0 ? await browser.evaluateAt<OriginStorage>(storage, `(${collectStorage})()`, scope) : []
  const origins = collected
    .map((content, index) => ({ origin: storage[index] ?? '', ...content }))
    .filter(({ localStorage, indexedDB }) => localStorage.length > 0 || indexedDB.length > 0)
  return {
    value: {
      kind: 'website',
      storage_state: { cookies: cookies.map(toPlaywright), origins },
      session_storage: sessionStorage,
    },
    summary: {
      kind: 'website',
      tokens: [],
      scopes: [],
      cookies: cookies.length,
      origins: [...new Set([...origins, ...sessionStorage].map(({ origin }) => origin))],
      local_storage: count(origins.map(({ localStorage }) => localStorage.length)),
      session_storage: count(sessionStorage.map(({ entries }) => entries.length)),
      indexed_db: count(
        origins.flatMap(({ indexedDB }) =>
          indexedDB.flatMap(({ stores }) => stores.map(({ records }) => records.length)),
        ),
      ),
    },
  }
}

const count = (counts: number[]): number => counts.reduce((sum, one) => sum + one, 0)

async function collectSessions(browser: Browser, origins: readonly string[], scope: Scope) {
  const found: { origin: string; entries: NamedValue[] }[] = []
  for (const page of browser.pages) {
    // The newest tab of an origin would shadow an older one; the first is the one the person started in.
    if (!origins.includes(page.origin) || found.some(({ origin }) => origin === page.origin)) continue
    const entries = await page.evaluate<NamedValue[]>(`(${collectSessionStorage})()`, scope)
    if (entries.length > 0) found.push({ origin: page.origin, entries })
  }
  return found
}

const toPlaywright = (cookie: Protocol.Network.Cookie): StorageState['cookies'][number] => ({
  name: cookie.name,
  value: cookie.value,
  domain: cookie.domain,
  path: cookie.path,
  expires: cookie.session ? -1 : cookie.expires,
  httpOnly: cookie.httpOnly,
  secure: cookie.secure,
  // What Chromium does with a cookie that does not say.
  sameSite: cookie.sameSite ?? 'Lax',
  ...(cookie.partitionKey && { partitionKey: cookie.partitionKey.topLevelSite }),
})
