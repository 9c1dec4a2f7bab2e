import { accounts } from './accounts.ts'
import { type Html, html } from './page.ts'

/** Name and password, with the accounts to try; `wrongName` is what was typed before, when it did not match. */
export const loginForm = (action: string, wrongName?: string): Html => html`
${wrongName === undefined ? '' : html`<p class="wrong" role="alert">That name and password do not match.</p>`}
<form method="post" action="${action}">
<label>Name<input name="name" value="${wrongName ?? ''}" autocomplete="off" autocapitalize="none" spellcheck="false" required autofocus></label>
<label>Password<input name="password" type="password" autocomplete="off" required></label>
<button class="lead">Sign in</button>
</form>
<p class="hint">For trying out: ${accounts.map(({ name, password }) => html`<code>${name}</code> / <code>${password}</code> `)}</p>`
