import { createHmac, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { AppError, newToken } from '@anteroom/base'
import * as client from 'openid-client'
import type { Config } from '../config.ts'

type Settings = NonNullable<Config['operators']['oidc']>

/** Who signed in, by the issuer's word. */
export interface Person {
  readonly subject: string
  /** For people to read. */
  readonly name: string
}

/** What the issuer sent along when it led the browser back. */
export interface Answer {
  readonly code?: string
  readonly state?: string
  readonly iss?: string
  readonly error?: string
}

/** Signing in as the operator by OpenID Connect: authorization code with PKCE, state and nonce. */
export interface OidcSignIn {
  readonly issuerHost: string
  /** `attempt` goes into a cookie of the browser that begins. @throws AppError issuer_unavailable, config_invalid */
  begin(redirectUri: string): Promise<{ attempt: string; location: string }>
  /** @throws AppError sign_in_refused, operator_not_allowed, issuer_unavailable, config_invalid */
  finish(attempt: string, redirectUri: string, answer: Answer): Promise<Person>
}

const patienceSeconds = 10
/** Clocks of the two may differ by so much. */
const skewSeconds = 60

export function createOidcSignIn(settings: Settings): OidcSignIn {
  // An attempt ends with the process: nothing of it is stored.
  const key = randomBytes(32)
  const derive = (attempt: string, what: string): string =>
    createHmac('sha256', key).update(`${what} ${attempt}`).digest('base64url')
  const issuer = new URL(settings.issuer)
  return {
    issuerHost: issuer.host,

    async begin(redirectUri) {
      const found = await discover(settings)
      const attempt = newToken()
      const location = client.buildAuthorizationUrl(found, {
        redirect_uri: redirectUri,
        scope: settings.scopes.join(' '),
        state: derive(attempt, 'state'),
        nonce: derive(attempt, 'nonce'),
        code_challenge: await client.calculatePKCECodeChallenge(derive(attempt, 'verifier')),
        code_challenge_method: 'S256',
      })
      return { attempt, location: location.href }
    },

    async finish(attempt, redirectUri, answer) {
      const found = await discover(settings)
      const url = new URL(redirectUri)
      for (const [name, value] of Object.entries(answer)) url.searchParams.set(name, String(value))
      try {
        const tokens = await client.authorizationCodeGrant(found, url, {
          expectedState: derive(attempt, 'state'),
          expectedNonce: derive(attempt, 'nonce'),
          pkceCodeVerifier: derive(attempt, 'verifier'),
          idTokenExpected: true,
        })
        const claims = tokens.claims()
        if (claims === undefined) throw new AppError('sign_in_refused', { detail: 'There is no ID token.' })
        // Many issuers tell addresses and groups there alone.
        const more = found.serverMetadata().userinfo_endpoint
          ? await client.fetchUserInfo(found, tokens.access_token, claims.sub)
          : {}
        return requireAllowed({ ...more, ...claims }, settings.allow)
      } catch (error) {
        throw refusalOf(error, issuer)
      }
    },
  }
}

async function discover({ issuer, client_id, client_secret_file }: Settings): Promise<client.Configuration> {
  const secret = client_secret_file === undefined ? undefined : await readSecret(client_secret_file)
  const url = new URL(issuer)
  const execute = [
    client.enableNonRepudiationChecks,
    ...(url.protocol === 'http:' ? [client.allowInsecureRequests] : []),
  ]
  const metadata = { [client.clockTolerance]: skewSeconds }
  const by = secret === undefined ? client.None() : client.ClientSecretBasic(secret)
  try {
    return await client.discovery(url, client_id, metadata, by, { execute, timeout: patienceSeconds })
  } catch (cause) {
    throw unavailable(url, cause)
  }
}

async function readSecret(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (cause) {
    throw new AppError('config_invalid', { detail: `operators.oidc.client_secret_file: ${path} cannot be read`, cause })
  }
}

function requireAllowed(claims: Readonly<Record<string, unknown>> & { sub: string }, allow: Settings['allow']): Person {
  const { sub: subject, email, email_verified, name, preferred_username } = claims
  const groups = [claims[allow.groups_claim]].flat()
  const isAllowed =
    allow.subjects.includes(subject) ||
    (email_verified === true && typeof email === 'string' && allow.emails.includes(email)) ||
    groups.some((group) => typeof group === 'string' && allow.groups.includes(group))
  if (!isAllowed)
    throw new AppError('operator_not_allowed', { detail: `operators.oidc.allow does not name the subject ${subject}.` })
  const shown = [name, preferred_username, email, subject].find((one) => typeof one === 'string' && one !== '')
  return { subject, name: String(shown) }
}

const unavailable = (issuer: URL, cause: unknown): AppError =>
  new AppError('issuer_unavailable', { detail: `${issuer.host} does not answer as an OpenID provider.`, cause })

function refusalOf(error: unknown, issuer: URL): AppError {
  if (error instanceof AppError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  // fetch throws a TypeError for a connection that fails.
  if (code === 'OAUTH_TIMEOUT' || (error instanceof TypeError && code === '')) return unavailable(issuer, error)
  const why =
    code === 'OAUTH_JWT_TIMESTAMP_CHECK_FAILED'
      ? `the clocks of ${issuer.host} and of this host differ by more than ${skewSeconds} seconds, or it took too long`
      : error instanceof Error
        ? error.message
        : String(error)
  return new AppError('sign_in_refused', { detail: `The answer of ${issuer.host} does not hold: ${why}`, cause: error })
}
