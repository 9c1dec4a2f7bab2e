import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Provider } from 'oidc-provider'
import { vi } from 'vitest'

export interface OidcIssuer {
  readonly url: string
  /** Who is signed in there. */
  account: { sub: string; claims: Record<string, unknown> }
  /** How far its clock is behind while it issues tokens. */
  lateMs: number
  /** As a browser does it: from the address that the controller gives to the one that it is led back to. */
  follow(location: string): Promise<URL>
  close(): Promise<void>
}

/** An issuer must know where to lead back to before the controller has a port. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** A real OpenID provider at which somebody is signed in and agrees to everything. */
export async function startOidcIssuer(redirectUri: string): Promise<OidcIssuer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const provider = new Provider(url, {
    clients: [
      { client_id: 'anteroom', client_secret: 's3cret', redirect_uris: [redirectUri] },
      { client_id: 'anteroom-public', token_endpoint_auth_method: 'none', redirect_uris: [redirectUri] },
    ],
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'], groups: ['groups'] },
    scopes: ['openid', 'profile', 'email', 'groups'],
    findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub, ...issuer.account.claims }) }),
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    async loadExistingGrant({ oidc }) {
      const grant = new oidc.provider.Grant({ accountId: issuer.account.sub, clientId: oidc.client?.clientId ?? '' })
      grant.addOIDCScope('openid profile email groups')
      await grant.save()
      return grant
    },
  })
  const answer = provider.callback()
  server.on('request', (request, response) => {
    if (request.url === '/token' && issuer.lateMs > 0) {
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - issuer.lateMs })
      response.once('finish', () => vi.useRealTimers())
    }
    if (!request.url?.startsWith('/interaction/')) return void answer(request, response)
    const result = { login: { accountId: issuer.account.sub } }
    provider.interactionFinished(request, response, result).catch((error: unknown) => response.destroy(error as Error))
  })
  const issuer: OidcIssuer = {
    url,
    lateMs: 0,
    account: { sub: 'ada', claims: { name: 'Ada Lovelace', email: 'ada@example.com', email_verified: true } },
    async follow(location) {
      const jar = new Map<string, string>()
      for (let at = new URL(location); ; ) {
        if (!at.href.startsWith(url)) return at
        const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
        const response = await fetch(at, { headers: { cookie }, redirect: 'manual' })
        for (const set of response.headers.getSetCookie()) {
          const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? []
          jar.set(name, value)
        }
        const next = response.headers.get('location')
        if (next === null) throw new Error(`${at}: ${response.status} ${await response.text()}`)
        at = new URL(next, at)
      }
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return issuer
}
