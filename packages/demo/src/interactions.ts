import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '@anteroom/base'
import { errors, type InteractionResults, type Provider } from 'oidc-provider'
import { authenticate, findAccount } from './accounts.ts'
import { loginForm } from './login-form.ts'
import { html, type Page, readForm, sendPage } from './page.ts'

export const identityProviderName = 'Demo Identity'
const from = identityProviderName
export const interactionPath = '/interaction/'

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>

/** The login and consent pages: `GET <path><uid>` shows what is due, `POST <path><uid>/<step>` answers it. */
export function createInteractions(provider: Provider, log: Log) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      // The cookie names the interaction; the address only scopes the cookie.
      const interaction = await provider.interactionDetails(request, response)
      if (request.method === 'GET') return sendPage(response, await pageFor(provider, interaction))
      const form = await readForm(request)
      if (!form) return sendPage(response, problemPage('The form was too large.', 413))
      const step = request.url?.split('/')[3]
      const result = step === 'login' ? login(form) : step === 'consent' ? await consent(provider, interaction) : denied
      if (!result) return sendPage(response, loginPage(interaction, form.get('name') ?? ''))
      await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: result !== denied })
    } catch (error) {
      if (error instanceof errors.SessionNotFound)
        return sendPage(response, problemPage('It took too long, or it was finished already.', 400))
      log.error({ error }, 'a page of the demo identity provider failed')
      sendPage(response, problemPage('The provider failed.', 500))
    }
  }
}

const denied: InteractionResults = { error: 'access_denied', error_description: 'The person refused.' }

function login(form: URLSearchParams): InteractionResults | undefined {
  const account = authenticate(form.get('name'), form.get('password'))
  return account && { login: { accountId: account.name } }
}

/** Grants exactly what the prompt says is missing. */
async function consent(provider: Provider, { grantId, prompt, params, session }: Interaction) {
  const known = grantId ? await provider.Grant.find(grantId) : undefined
  const grant = known ?? new provider.Grant({ accountId: session?.accountId ?? '', clientId: String(params.client_id) })
  const { missingOIDCScope, missingOIDCClaims } = prompt.details
  if (Array.isArray(missingOIDCScope)) grant.addOIDCScope(missingOIDCScope.join(' '))
  if (Array.isArray(missingOIDCClaims)) grant.addOIDCClaims(missingOIDCClaims)
  return { consent: { grantId: await grant.save() } }
}

async function pageFor(provider: Provider, interaction: Interaction): Promise<Page> {
  if (interaction.prompt.name === 'login') return loginPage(interaction)
  const client = await provider.Client.find(String(interaction.params.client_id))
  return consentPage(interaction, client?.clientName ?? 'An application')
}

const loginPage = (interaction: Interaction, wrongName?: string): Page => ({
  kind: 'idpLogin',
  from,
  title: 'Sign in',
  status: wrongName === undefined ? 200 : 401,
  body: loginForm(`${interactionPath}${interaction.uid}/login`, wrongName),
})

const scopeWords: Record<string, string> = {
  openid: 'Know that it is you',
  profile: 'See your name',
  offline_access: 'Keep this access while you are away',
}

const consentPage = ({ uid, params, session }: Interaction, clientName: string): Page => {
  const scopes = String(params.scope).split(' ')
  return {
    kind: 'idpConsent',
    from,
    title: 'Allow access?',
    body: html`
<p><strong>${clientName}</strong> wants to use the account of <strong>${findAccount(session?.accountId ?? '')?.fullName ?? ''}</strong>:</p>
<ul>${scopes.map((scope) => html`<li>${scopeWords[scope] ?? scope}</li>`)}</ul>
<div class="choice">
<form method="post" action="${interactionPath}${uid}/deny"><button>Refuse</button></form>
<form method="post" action="${interactionPath}${uid}/consent"><button class="lead" autofocus>Allow</button></form>
</div>`,
  }
}

const problemPage = (message: string, status: number): Page => ({
  kind: 'problem',
  from,
  title: 'This sign-in cannot go on',
  status,
  body: html`<p class="wrong">${message}</p><p>Go back to the application that sent you here and start again.</p>`,
})
