import type { Log, Scope } from '@anteroom/base'
import type { ProviderDefinition } from '@anteroom/contract'
import { clientId, serveIdentityProvider } from './identity-provider.ts'
import { type LoopbackServer, listenOnLoopback } from './listen.ts'
import { serveSite, sessionCookie } from './site.ts'

export { type Account, accounts } from './accounts.ts'
export { focusColour, palette } from './page.ts'

/** `.test` is reserved (RFC 6761): the names mean something only where a provider definition gives their address. */
const idpHost = 'idp.demo.test'
const siteHost = 'site.demo.test'
const loopback = '127.0.0.1'

export interface DemoOptions {
  /** Left out: 4455, or any free one when it is taken. 0: any free one. */
  readonly idpPort?: number
  /** Left out: 4456, or any free one when it is taken. 0: any free one. */
  readonly sitePort?: number
  readonly log: Log
}

export interface Demo {
  /** `demo` (oauth2) and `demo-site` (website). */
  readonly providers: readonly ProviderDefinition[]
  readonly urls: { readonly issuer: string; readonly site: string }
  close(): Promise<void>
}

/** Something real to sign in to: an OpenID provider and a small site, both on loopback. */
export async function startDemo({ idpPort, sitePort, log }: DemoOptions, scope: Scope): Promise<Demo> {
  return await scope.run({ name: 'start the demo' }, async (starting) => {
    const listen = async (port: number | undefined, preferredPort: number): Promise<LoopbackServer> => {
      const server = await listenOnLoopback(port, preferredPort)
      starting.undo(() => server.close())
      return server
    }
    const idpServer = await listen(idpPort, 4455)
    const siteServer = await listen(sitePort, 4456)
    const issuer = await serveIdentityProvider(idpServer, idpHost, starting)
    const site = await serveSite(siteServer, siteHost, starting)
    log.info({ issuer, site }, 'the demo is up')
    return {
      providers: [identityDefinition(issuer), siteDefinition(site)],
      urls: { issuer, site },
      async close() {
        await Promise.all([idpServer.close(), siteServer.close()])
      },
    }
  })
}

const identityDefinition = (issuer: string): ProviderDefinition => ({
  name: 'demo',
  title: 'Demo Identity',
  kind: 'oauth2',
  issuer,
  client_id: clientId,
  scopes: ['openid', 'profile', 'offline_access'],
  egress: { allow: [idpHost], hosts: { [idpHost]: loopback } },
  capture: { tokens: true },
})

const siteDefinition = (site: string): ProviderDefinition => ({
  name: 'demo-site',
  title: 'Demo Workbench',
  kind: 'website',
  start_url: `${site}/login`,
  success: { all: [{ cookie: sessionCookie }, { url: `${site}/home*` }] },
  egress: { allow: [siteHost], hosts: { [siteHost]: loopback } },
  capture: { cookies: [siteHost], storage: [site] },
})
