import type { KeyScope } from '@anteroom/contract'

/** Who is asking. */
export type Principal =
  | { readonly kind: 'key'; readonly id: string; readonly scopes: readonly KeyScope[] }
  /** The operator in the dashboard, by cookie; every scope. */
  | { readonly kind: 'operator' }
  /** The account owner's browser, by a cookie that is bound to one session. */
  | { readonly kind: 'visitor'; readonly sessionId: string }

/** API keys, the operator's one-time link, the account owner's entry. Secrets are kept as SHA-256 only. */
export interface Access {
  /** @throws AppError unauthenticated */
  byKey(bearer: string): Promise<Principal>
  /** undefined for an unknown or expired cookie. */
  byCookie(value: string): Promise<Principal | undefined>
  /** Makes sure that `path` (mode 0600) holds a key with every scope that this database knows. */
  ensureOperatorKey(path: string): Promise<void>
  newSignInToken(ttlSeconds: number): Promise<string>
  /** Uses the link up; gives a cookie value. @throws AppError entry_invalid */
  signIn(token: string): Promise<string>
  /** Forgets a cookie; no effect for an unknown one. */
  signOut(cookie: string): Promise<void>
  /** Uses `hosted_url`'s secret up; gives a cookie value bound to the session. @throws AppError entry_invalid */
  enter(sessionId: string, secret: string): Promise<string>
}
