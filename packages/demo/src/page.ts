import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * Each page has a band of its own colour, and each button that leads on one too: on a picture of the screen the pages can be
 * told apart and the button be found. No other thing on the pages has these colours.
 */
export const palette = {
  idpLogin: { band: '#1e3a8a', button: '#2563eb' },
  idpConsent: { band: '#14532d', button: '#15803d' },
  siteLogin: { band: '#581c87', button: '#9333ea' },
  siteSetUp: { band: '#713f12', button: '#a16207' },
  siteHome: { band: '#9a3412', button: '#c2410c' },
  problem: { band: '#7f1d1d', button: '#b91c1c' },
} as const
/** Ring around what has the keyboard. */
export const focusColour = '#f59e0b'
export type PageKind = keyof typeof palette

/** Markup that needs no escaping any more. */
export class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escapeText = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character] ?? character)

type Part = string | Html | readonly Html[]
const render = (part: Part): string => {
  if (typeof part === 'string') return escapeText(part)
  return part instanceof Html ? part.text : part.map((item) => item.text).join('')
}

/** Escapes every value that is not markup itself. */
export const html = (strings: TemplateStringsArray, ...parts: readonly Part[]): Html =>
  new Html(String.raw({ raw: strings }, ...parts.map(render)))

const style = `
:root { font: 16px/1.5 'Noto Sans', system-ui, sans-serif; color: #1f2328; background: #f2f3f5 }
* { box-sizing: border-box }
body { margin: 0 }
.band { height: 20px; background: var(--band) }
main { width: min(26rem, calc(100% - 2rem)); margin: 1.5rem auto; padding: 1.5rem 1.75rem 1.75rem; background: #fff; border: 1px solid #d9dce1; border-radius: 14px; box-shadow: 0 6px 24px rgb(31 35 40 / 8%) }
.wide { width: min(44rem, calc(100% - 2rem)) }
.from { margin: 0; color: #59606b; font-size: .875rem }
h1 { margin: .1rem 0 .75rem; font-size: 1.5rem; line-height: 1.25; letter-spacing: -.01em }
h2 { margin: 1.25rem 0 .25rem; font-size: 1rem }
p { margin: 0 0 .75rem }
label { display: block; margin: 0 0 .75rem; font-weight: 600; font-size: .9rem }
input { display: block; width: 100%; margin-top: .25rem; padding: .6rem .75rem; font: inherit; border: 1px solid #9aa1ab; border-radius: 8px; background: #fff }
input:focus, button:focus-visible { outline: 4px solid ${focusColour}; outline-offset: 2px }
button { padding: .65rem 1.1rem; font: inherit; font-weight: 600; border-radius: 8px; border: 1px solid #9aa1ab; background: #fff; color: inherit; cursor: pointer }
.lead { width: 100%; border-color: var(--button); background: var(--button); color: #fff }
.choice { display: flex; gap: .75rem; margin-top: 1rem } .choice form { flex: 1 } .choice button { width: 100% }
.hint { margin: 1rem 0 0; padding: .6rem .75rem; border-radius: 8px; background: #f2f3f5; font-size: .875rem; color: #434a54 }
.wrong { padding: .6rem .75rem; border-radius: 8px; background: #fdecec; color: #8c1d18 }
code { font: .9em 'Noto Sans Mono', ui-monospace, monospace }
ul { margin: 0 0 .5rem; padding-left: 1.2rem } li { margin: .2rem 0 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0; font-size: .9rem } dt { color: #59606b } dd { margin: 0; overflow-wrap: anywhere }
`

export interface Page {
  readonly kind: PageKind
  readonly title: string
  /** Who speaks, above the title. */
  readonly from: string
  readonly body: Html
  readonly status?: number
  /** Path of the page's script on the same server. */
  readonly script?: string
}

export const renderPage = ({ kind, title, from, body, script }: Page): string =>
  `<!doctype html>\n${
    html`<html lang="en" style="--band: ${palette[kind].band}; --button: ${palette[kind].button}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title} · ${from}</title>
<link rel="icon" href="data:,">
<style>${new Html(style)}</style>
${script ? html`<script src="${script}" defer></script>` : ''}
</head>
<body>
<div class="band"></div>
<main class="${kind === 'siteHome' ? 'wide' : ''}"><p class="from">${from}</p><h1>${title}</h1>${body}</main>
</body>
</html>`.text
  }\n`

/** No form-action: Chromium holds the redirects after a form to it as well, and the consent form's lead to the client. */
const contentSecurityPolicy =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'"

export const sendPage = (response: ServerResponse, page: Page): void => {
  response
    .writeHead(page.status ?? 200, {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': contentSecurityPolicy,
    })
    .end(renderPage(page))
}

const maxFormBytes = 16 * 1024

/** The fields of a submitted form; undefined when it is larger than any form of these pages. */
export async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxFormBytes) return undefined
    chunks.push(chunk)
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'))
}
