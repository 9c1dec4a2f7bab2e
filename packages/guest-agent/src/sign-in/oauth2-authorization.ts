import { AppError, type Scope, Secret } from '@anteroom/base'
import type { Oauth2Provider } from '@anteroom/contract'
import * as oauth from 'oauth4webapi'
import { createProxiedFetch } from './proxied-fetch.ts'

/** A token endpoint that has not answered by then will not. */
const requestDeadlineMs = 30_000
const clockToleranceSeconds = 60

export interface Authorization {
  readonly url: string
  /** Checks the redirect's parameters and exchanges the code. @throws AppError with what the session fails with */
  exchange(parameters: URLSearchParams, scope: Scope): Promise<Secret<oauth.TokenEndpointResponse>>
}

/** Authorization code with PKCE (RFC 7636, RFC 8252), as a public client, all requests through the egress proxy. */
export async function beginAuthorization(
  provider: Oauth2Provider,
  redirectUri: string,
  proxyPort: number,
  scope: Scope,
): Promise<Authorization> {
  const options = {
    [oauth.customFetch]: createProxiedFetch(proxyPort),
    // The operator's definition says http:// or https://.
    [oauth.allowInsecureRequests]: true,
  }
  const server = await discover(provider, options, scope)
  const client: oauth.Client = { client_id: provider.client_id, [oauth.clockTolerance]: clockToleranceSeconds }
  const isOpenId = provider.scopes.includes('openid')
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const nonce = isOpenId ? oauth.generateRandomNonce() : undefined

  const url = new URL(server.authorization_endpoint ?? '')
  const parameters = {
    // OpenID Connect Core, section 11: without it the provider ignores offline_access.
    ...(isOpenId && provider.scopes.includes('offline_access') && { prompt: 'consent' }),
    ...provider.authorization_params,
    client_id: provider.client_id,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: provider.scopes.join(' '),
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    ...(nonce !== undefined && { nonce }),
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)

  return {
    url: url.href,
    async exchange(answer, exchanging) {
      const validated = validateAnswer(server, client, answer, state, provider)
      try {
        const response = await exchanging.run({ name: 'token endpoint', deadlineMs: requestDeadlineMs }, ({ signal }) =>
          oauth.authorizationCodeGrantRequest(server, client, oauth.None(), validated, redirectUri, verifier, {
            ...options,
            signal,
          }),
        )
        const issuer = provider.issuer === undefined ? await issuerOf(response) : server.issuer
        return new Secret(
          await oauth.processAuthorizationCodeResponse({ ...server, issuer }, client, response, {
            requireIdToken: isOpenId,
            ...(nonce !== undefined && { expectedNonce: nonce }),
          }),
        )
      } catch (error) {
        exchanging.throwIfOver()
        throw new AppError('token_exchange_failed', { detail: describe(error), cause: error })
      }
    },
  }
}

async function discover(
  provider: Oauth2Provider,
  options: oauth.HttpRequestOptions<'GET'>,
  scope: Scope,
): Promise<oauth.AuthorizationServer> {
  const { issuer, authorization_endpoint, token_endpoint } = provider
  const given = { ...(authorization_endpoint && { authorization_endpoint }), ...(token_endpoint && { token_endpoint }) }
  if (authorization_endpoint !== undefined && token_endpoint !== undefined)
    return { issuer: issuer ?? new URL(authorization_endpoint).origin, ...given }
  const address = new URL(issuer ?? '')
  try {
    const ask = (algorithm: 'oidc' | 'oauth2'): Promise<Response> =>
      scope.run({ name: 'issuer metadata', deadlineMs: requestDeadlineMs }, ({ signal }) =>
        oauth.discoveryRequest(address, { ...options, algorithm, signal }),
      )
    let response = await ask('oidc')
    // Not an OpenID provider: RFC 8414 has another address for the same document.
    if (response.status === 404) response = await ask('oauth2')
    const found = { ...(await oauth.processDiscoveryResponse(address, response)), ...given }
    if (!found.authorization_endpoint || !found.token_endpoint)
      throw new Error('its metadata names no authorization_endpoint or no token_endpoint')
    return found
  } catch (error) {
    scope.throwIfOver()
    throw new AppError('issuer_unreachable', { detail: `${address.origin}: ${describe(error)}`, cause: error })
  }
}

function validateAnswer(
  server: oauth.AuthorizationServer,
  client: oauth.Client,
  answer: URLSearchParams,
  state: string,
  provider: Oauth2Provider,
): URLSearchParams {
  if (answer.get('state') !== state)
    throw new AppError('oauth_state_mismatch', {
      detail: answer.has('state') ? 'the redirect carried another state' : 'the redirect carried no state',
    })
  const parameters = new URLSearchParams(answer)
  // RFC 9207: nothing to compare it with where the definition names no issuer.
  if (provider.issuer === undefined) parameters.delete('iss')
  try {
    const validated = oauth.validateAuthResponse(server, client, parameters, state)
    if (!validated.has('code')) throw new Error('the redirect carried neither a code nor an error')
    return validated
  } catch (error) {
    const denied = error instanceof oauth.AuthorizationResponseError && error.error === 'access_denied'
    throw new AppError(denied ? 'consent_denied' : 'oauth_error', { detail: describe(error), cause: error })
  }
}

/** The issuer that the ID token itself names. Only where the definition gives none, so that there is nothing to check. */
async function issuerOf(response: Response): Promise<string> {
  const { id_token: idToken } = (await response.clone().json()) as { id_token?: unknown }
  if (typeof idToken !== 'string') return ''
  const claims: unknown = JSON.parse(Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString())
  return typeof claims === 'object' && claims !== null && 'iss' in claims ? String(claims.iss) : ''
}

/** Words for `detail`: a provider's error code and description, a status, a network error; never a parameter or token. */
function describe(error: unknown): string {
  if (error instanceof oauth.AuthorizationResponseError || error instanceof oauth.ResponseBodyError)
    return printable(error.error_description ? `${error.error}: ${error.error_description}` : error.error)
  if (!(error instanceof Error)) return 'unknown error'
  const status = error.cause instanceof Response ? ` (status ${error.cause.status})` : ''
  return printable(error.message + status)
}

const printable = (text: string): string => text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 500)
