import { generateKeyPair, type JsonWebKey, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import type { Scope } from '@anteroom/base'
import { type AccountClaims, type Configuration, type JWK, Provider } from 'oidc-provider'
import { findAccount } from './accounts.ts'
import { createInteractions, identityProviderName, interactionPath } from './interactions.ts'
import type { LoopbackServer } from './listen.ts'
import { createMemoryAdapter } from './memory-adapter.ts'
import { html, renderPage, sendPage } from './page.ts'

export const clientId = 'anteroom-demo'

const hourSeconds = 3600
const daySeconds = 24 * hourSeconds

/** A certified OpenID provider, with pages of its own in front. Keys are made anew at each start. */
export async function serveIdentityProvider(server: LoopbackServer, hostname: string, scope: Scope): Promise<string> {
  const issuer = `http://${hostname}:${server.port}`
  const provider = new Provider(issuer, await configuration(scope))
  const log = scope.log.child({ demo: 'identity-provider' })
  provider.on('server_error', (_context, error) => log.error({ error }, 'the demo identity provider failed'))

  const answer = provider.callback()
  const interactions = createInteractions(provider, log)
  server.serve(hostname, (request, response) => {
    if (request.url === '/') return sendPage(response, welcomePage)
    if (request.url?.startsWith(interactionPath)) return void interactions(request, response)
    void answer(request, response)
  })
  return issuer
}

const welcomePage = {
  kind: 'idpLogin',
  from: identityProviderName,
  title: 'Nothing to sign in to',
  body: html`<p>This OpenID provider belongs to the demonstration of Anteroom. Start a sign-in there; it leads here.</p>`,
} as const

async function configuration(scope: Scope): Promise<Configuration> {
  return {
    adapter: createMemoryAdapter(scope.clock),
    clients: [
      {
        client_id: clientId,
        client_name: 'Anteroom demo',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        // The port is free for a native client's loopback address (RFC 8252, section 7.3); the path is not.
        redirect_uris: ['http://127.0.0.1/callback', 'http://[::1]/callback'],
      },
    ],
    jwks: { keys: [await signingKey()] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    scopes: ['openid', 'offline_access'],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'] },
    findAccount: (_context, sub) => {
      const account = findAccount(sub)
      if (!account) return undefined
      const claims: AccountClaims = { sub, name: account.fullName, preferred_username: account.name }
      return { accountId: sub, claims: () => claims }
    },
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false }, revocation: { enabled: true, allowedPolicy: () => true } },
    interactions: { url: (_context, interaction) => `${interactionPath}${interaction.uid}` },
    clientBasedCORS: () => false,
    renderError(context, out) {
      context.type = 'html'
      context.body = renderPage({
        kind: 'problem',
        from: identityProviderName,
        title: 'This sign-in cannot go on',
        body: html`<p class="wrong">${out.error_description ?? out.error}</p><p>Go back to the application that sent you here and start again.</p>`,
      })
    },
    ttl: {
      AccessToken: hourSeconds,
      AuthorizationCode: 60,
      Grant: 14 * daySeconds,
      IdToken: hourSeconds,
      Interaction: hourSeconds,
      RefreshToken: 14 * daySeconds,
      Session: daySeconds,
    },
  }
}

async function signingKey(): Promise<JWK> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  const key: JsonWebKey = privateKey.export({ format: 'jwk' })
  return { ...key, use: 'sig', alg: 'RS256', kid: randomBytes(8).toString('hex') } as JWK
}
