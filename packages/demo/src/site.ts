import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Scope } from '@anteroom/base'
import { type Account, authenticate } from './accounts.ts'
import type { LoopbackServer } from './listen.ts'
import { loginForm } from './login-form.ts'
import { html, type Page, readForm, sendPage } from './page.ts'

/** HttpOnly: the page's own scripts cannot see it. */
export const sessionCookie = 'workbench_session'
const languageCookie = 'workbench_language'
const from = 'Demo Workbench'

/** A site with a password form. What makes someone signed in is a cookie; what they did lies in the browser's storage. */
export async function serveSite(server: LoopbackServer, hostname: string, scope: Scope): Promise<string> {
  const script = await readFile(new URL('../assets/workbench.js', import.meta.url))
  const signedIn = new Map<string, Account>()
  const log = scope.log.child({ demo: 'site' })

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname } = new URL(request.url ?? '/', 'http://site')
    const token = cookieValue(request, sessionCookie)
    const account = token === undefined ? undefined : signedIn.get(token)
    switch (`${request.method} ${pathname}`) {
      case 'GET /workbench.js':
        response.writeHead(200, { 'content-type': 'text/javascript', 'cache-control': 'no-store' }).end(script)
        return
      case 'GET /login':
        return sendPage(response, loginPage())
      case 'POST /login':
        return await signIn(request, response, signedIn)
      case 'GET /welcome':
        return account ? sendPage(response, welcomePage) : redirect(response, '/login')
      case 'GET /home':
        return account ? sendPage(response, homePage(account)) : redirect(response, '/login')
      case 'POST /logout':
        if (token !== undefined) signedIn.delete(token)
        return redirect(response, '/login', [`${sessionCookie}=; Path=/; Max-Age=0`])
      case 'GET /':
        return redirect(response, '/home')
      default:
        return sendPage(response, problemPage('There is no such page.', 404))
    }
  }
  server.serve(hostname, (request, response) => {
    answer(request, response).catch((error: unknown) => {
      log.error({ error }, 'a page of the demo site failed')
      response.destroy()
    })
  })
  return `http://${hostname}:${server.port}`
}

async function signIn(request: IncomingMessage, response: ServerResponse, signedIn: Map<string, Account>) {
  const form = await readForm(request)
  if (!form) return sendPage(response, problemPage('The form was too large.', 413))
  const account = authenticate(form.get('name'), form.get('password'))
  if (!account) return sendPage(response, loginPage(form.get('name') ?? ''))
  const token = randomBytes(24).toString('base64url')
  signedIn.set(token, account)
  redirect(response, '/welcome', [
    `${sessionCookie}=${token}; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400`,
    `${languageCookie}=en; Path=/; SameSite=Lax`,
  ])
}

const redirect = (response: ServerResponse, location: string, cookies: string[] = []): void => {
  response.writeHead(303, { location, 'cache-control': 'no-store', 'set-cookie': cookies }).end()
}

const cookieValue = (request: IncomingMessage, name: string): string | undefined =>
  request.headers.cookie
    ?.split('; ')
    .find((pair) => pair.startsWith(`${name}=`))
    ?.slice(name.length + 1)

const loginPage = (wrongName?: string): Page => ({
  kind: 'siteLogin',
  from,
  title: 'Welcome back',
  status: wrongName === undefined ? 200 : 401,
  body: loginForm('/login', wrongName),
})

/** Leads home only when the browser's storage is filled: who is at /home has everything. */
const welcomePage: Page = {
  kind: 'siteSetUp',
  from,
  title: 'Setting up your workbench …',
  script: '/workbench.js',
  body: html`<p role="status">This takes a moment.</p>`,
}

const homePage = (account: Account): Page => ({
  kind: 'siteHome',
  from,
  title: `Signed in as ${account.name}`,
  script: '/workbench.js',
  body: html`
<p>Hello, ${account.fullName}. This is what your browser keeps for this site:</p>
<h2>Local storage</h2><dl data-testid="local-storage"></dl>
<h2>Session storage</h2><dl data-testid="session-storage"></dl>
<h2>IndexedDB</h2><dl data-testid="indexed-db"></dl>
<form method="post" action="/logout"><p></p><button>Sign out</button></form>`,
})

const problemPage = (message: string, status: number): Page => ({
  kind: 'problem',
  from,
  title: 'That did not work',
  status,
  body: html`<p class="wrong">${message}</p><p><a href="/home">Back to the workbench</a></p>`,
})
