import { AppError, type Scope, Secret } from '@anteroom/base'
import { type CredentialValue, errorDefinitions, type Oauth2Provider } from '@anteroom/contract'
import type { Browser } from '../browser/browser.ts'
import type { Capture } from '../capture/website-capture.ts'
import type { EgressBridge } from '../egress-bridge.ts'
import { type LoopbackRedirect, listenForRedirect } from './loopback-redirect.ts'
import { beginAuthorization } from './oauth2-authorization.ts'
import type { SignInMethod } from './sign-in-method.ts'

type Tokens = Extract<CredentialValue, { kind: 'oauth2' }>

export class Oauth2SignIn implements SignInMethod {
  readonly #provider: Oauth2Provider
  readonly #browser: Browser
  readonly #egress: Pick<EgressBridge, 'throughCuts'>
  readonly #proxyPort: number
  #redirect: LoopbackRedirect | undefined
  #tokens: Secret<Tokens> | undefined

  constructor(
    provider: Oauth2Provider,
    browser: Browser,
    egress: Pick<EgressBridge, 'throughCuts'>,
    proxyPort: number,
  ) {
    this.#provider = provider
    this.#browser = browser
    this.#egress = egress
    this.#proxyPort = proxyPort
  }

  async untilSignedIn(waiting: () => void, scope: Scope): Promise<void> {
    const redirect = await listenForRedirect(scope)
    this.#redirect = redirect
    const authorization = await this.#egress.throughCuts(
      () => beginAuthorization(this.#provider, redirect.redirectUri, this.#proxyPort, scope),
      scope,
    )
    const shown = this.#egress.throughCuts(() => this.#browser.show(authorization.url, scope), scope).then(waiting)
    // A provider that needs nothing from the person sends the browser on at once, and that address is answered only when
    // the exchange is done: waiting for the page first would be waiting for itself.
    await scope.race(Promise.race([shown, redirect.parameters]))
    shown.catch((error: unknown) => scope.log.debug({ error }, 'the page was left before it was shown'))
    const parameters = await scope.race(redirect.parameters)
    try {
      // A code that was used up while the link was lost is refused the second time; nobody has the tokens that it gave.
      const tokens = await this.#egress.throughCuts(() => authorization.exchange(parameters, scope), scope)
      this.#tokens = this.#toCredential(tokens, scope)
      redirect.finish({ title: 'You are signed in.', text: 'This window will close.' })
    } catch (error) {
      const { code } = AppError.from(error)
      const { title, person } = errorDefinitions[code]
      redirect.finish({ title, text: person })
      throw error
    } finally {
      this.#browser.setHome(redirect.outcomeUrl)
    }
  }

  confirm(): void {
    throw new AppError('session_not_ready', { detail: 'this sign-in is over when the provider sends the person back' })
  }

  async capture(): Promise<Capture> {
    if (!this.#tokens) throw new AppError('session_not_ready', { detail: 'there are no tokens yet' })
    const value = this.#tokens.expose()
    const names = ['access_token', 'refresh_token', 'id_token'] as const
    return {
      value,
      summary: {
        kind: 'oauth2',
        tokens: names.filter((name) => value[name] !== null),
        scopes: value.scope?.split(' ') ?? this.#provider.scopes,
        cookies: 0,
        origins: [],
        local_storage: 0,
        session_storage: 0,
        indexed_db: 0,
      },
    }
  }

  async forget(): Promise<void> {
    this.#tokens = undefined
    await this.#redirect?.close()
    this.#redirect = undefined
  }

  #toCredential(
    answer: Secret<{
      access_token: string
      token_type: string
      refresh_token?: string
      id_token?: string
      scope?: string
      expires_in?: number
    }>,
    scope: Scope,
  ): Secret<Tokens> {
    const tokens = answer.expose()
    return new Secret({
      kind: 'oauth2',
      issuer: this.#provider.issuer ?? null,
      client_id: this.#provider.client_id,
      access_token: tokens.access_token,
      token_type: tokens.token_type,
      refresh_token: tokens.refresh_token ?? null,
      id_token: tokens.id_token ?? null,
      scope: tokens.scope ?? null,
      expires_at:
        tokens.expires_in === undefined ? null : new Date(scope.clock.now() + tokens.expires_in * 1000).toISOString(),
    })
  }
}
