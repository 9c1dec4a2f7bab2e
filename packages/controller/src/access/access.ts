import { AppError, type Clock, newToken } from '@anteroom/base'
import type { KeyScope } from '@anteroom/contract'
import type { Audit } from '../audit/audit.ts'
import type { Config } from '../config.ts'
import type { Events } from '../events/events.ts'
import type { Reach, Store } from '../store/store.ts'
import { ApiKeys, type HeldKey, scopesOf } from './api-keys.ts'
import { findCookie, issueCookie } from './cookies.ts'
import { type Entry, enterSession } from './entry.ts'
import { type Hold, KeyHolds } from './key-holds.ts'
import { createKeys, type Keys } from './keys.ts'
import { createOidcSignIn, type OidcSignIn, type Person } from './oidc.ts'
import { createProjects, type Projects } from './projects.ts'
import { secretHash } from './secret-hash.ts'

export type { HeldKey } from './api-keys.ts'
export type { Hold } from './key-holds.ts'
export type { Keys } from './keys.ts'
export type { OidcSignIn, Person } from './oidc.ts'
export type { Projects } from './projects.ts'

/** Who is asking. */
export type Principal =
  | (HeldKey & {
      readonly kind: 'key'
      readonly scopes: readonly KeyScope[]
      /** null: every project. */
      readonly projectId: string | null
    })
  /** The operator in the dashboard, by cookie (here its hash); every scope. */
  | {
      readonly kind: 'operator'
      readonly cookie: string
      /** Who it is, by the issuer's word; left out: somebody with a one-time link. */
      readonly person?: Person
    }
  /** The account owner's browser, by a cookie that is bound to one session. */
  | { readonly kind: 'visitor'; readonly sessionId: string; readonly cookie: string }

/** Whose rows they get at. */
export function reachOf(principal: Principal): Reach {
  switch (principal.kind) {
    case 'key':
      return principal.projectId === null ? 'everything' : { projectId: principal.projectId }
    case 'operator':
      return 'everything'
    case 'visitor':
      return { sessionId: principal.sessionId }
    default:
      return principal satisfies never
  }
}

/** API keys, the operator's one-time link, the account owner's entry. Secrets are kept as SHA-256 only. */
export interface Access {
  readonly keys: Keys
  readonly projects: Projects
  /** @throws AppError unauthenticated, alike for a key that is unknown, expired, revoked or was rotated away */
  byKey(bearer: string): Promise<Principal>
  /** Does what was shown earlier still open anything? */
  opens(key: HeldKey): Promise<boolean>
  /** For what lasts longer than a request: ends it when the secret that opened it does not open anything any more. */
  hold(key: HeldKey): Hold
  /** undefined for an unknown or expired cookie. */
  byCookie(value: string): Promise<Principal | undefined>
  /** Makes sure that `path` (mode 0600) holds a key with every scope that this database knows. */
  ensureOperatorKey(path: string): Promise<void>
  newSignInToken(ttlSeconds: number): Promise<string>
  /** Does a one-time link sign anybody in? */
  readonly takesLinks: boolean
  /** null: not configured. */
  readonly oidc: OidcSignIn | null
  /** Gives a cookie value, which is worth nothing once the rules of who may sign in have changed. */
  signInAs(person: Person): Promise<string>
  /** Uses the link up; gives a cookie value. @throws AppError entry_invalid */
  signIn(token: string): Promise<string>
  /** Forgets a cookie; no effect for an unknown one. */
  signOut(cookie: string): Promise<void>
  /** Uses `hosted_url`'s secret up for a cookie that is bound to the session. @throws AppError entry_invalid */
  enter(sessionId: string, secret: string): Promise<Entry>
  /** Deletes cookies and links whose time is over. */
  sweep(now: number): Promise<void>
}

const operator = { kind: 'operator', id: null } as const

/** A working day: the operator signs in anew with a link from the host. */
const operatorCookieMs = 12 * 3_600_000

export interface AccessParts {
  readonly store: Store
  readonly clock: Clock
  readonly events: Events
  readonly audit: Pick<Audit, 'record'>
  /** Left out: one-time links, and nothing else. */
  readonly operators?: Config['operators']
}

export function createAccess(parts: AccessParts): Access {
  const { store, clock, audit } = parts
  const secrets = new ApiKeys(store, clock, audit)
  const holds = new KeyHolds(store, clock)
  const takesLinks = parts.operators?.links !== 'off'
  const settings = parts.operators?.oidc
  const rules = settings === undefined ? null : secretHash(JSON.stringify(settings))
  return {
    keys: createKeys(parts, holds),
    projects: createProjects(parts),
    takesLinks,
    oidc: settings === undefined ? null : createOidcSignIn(settings),

    async byKey(bearer) {
      const found = await secrets.find(bearer)
      if (!found)
        throw new AppError('unauthenticated', { detail: 'This key opens nothing here: unknown, expired or revoked.' })
      secrets.noteUse(found.row)
      return {
        ...{ kind: 'key', id: found.row.id, hash: found.hash, scopes: scopesOf(found.row) },
        projectId: found.row.project_id,
      }
    },

    opens: (key) => holds.opens(key),

    hold: (key) => holds.hold(key),

    async byCookie(value) {
      const row = await findCookie(store.db, value, clock.now())
      if (!row) return undefined
      const { session_id: sessionId, hash: cookie, person } = row
      if (sessionId !== null) return { kind: 'visitor', sessionId, cookie }
      const isStillAllowed = person === null ? takesLinks : row.rules_hash === rules
      if (!isStillAllowed) return undefined
      return { kind: 'operator', cookie, ...(person !== null && { person: JSON.parse(person) as Person }) }
    },

    ensureOperatorKey: (path) => secrets.ensureOperatorKey(path),

    async newSignInToken(ttlSeconds) {
      const token = newToken()
      await store.transaction(async (tx) => {
        await tx
          .insertInto('sign_in_links')
          .values({ hash: secretHash(token), expires_at: clock.now() + ttlSeconds * 1000 })
          .execute()
        await audit.record(tx, {
          action: 'operator.link_made',
          target: operator,
          details: { expires_in_seconds: ttlSeconds },
        })
      })
      return token
    },

    async signIn(token) {
      const now = clock.now()
      return await store.transaction(async (tx) => {
        const link = await tx
          .deleteFrom('sign_in_links')
          .where('hash', '=', secretHash(token))
          .where('expires_at', '>', now)
          .returning('hash')
          .executeTakeFirst()
        if (!link || !takesLinks) throw new AppError('entry_invalid')
        await audit.record(tx, { action: 'operator.signed_in', target: operator, actor: operator })
        return await issueCookie(tx, null, now + operatorCookieMs)
      })
    },

    async signInAs(person) {
      return await store.transaction(async (tx) => {
        const actor = { kind: 'operator', id: person.subject } as const
        await audit.record(tx, { action: 'operator.signed_in', target: operator, actor })
        return await issueCookie(tx, null, clock.now() + operatorCookieMs, {
          person: JSON.stringify(person),
          rules_hash: rules,
        })
      })
    },

    async signOut(cookie) {
      await store.transaction(async (tx) => {
        await tx.deleteFrom('cookies').where('hash', '=', secretHash(cookie)).execute()
        await audit.record(tx, { action: 'operator.signed_out', target: operator })
      })
    },

    enter: (sessionId, secret) => enterSession(parts, sessionId, secret),

    async sweep(now) {
      await store.db.deleteFrom('cookies').where('expires_at', '<=', now).execute()
      await store.db.deleteFrom('sign_in_links').where('expires_at', '<=', now).execute()
    },
  }
}
