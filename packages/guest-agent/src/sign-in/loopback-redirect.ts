import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Scope } from '@anteroom/base'
import { deferred } from '../deferred.ts'

export interface Outcome {
  readonly title: string
  readonly text: string
}

export interface LoopbackRedirect {
  readonly redirectUri: string
  /** Where the browser is left, without the code in the address. */
  readonly outcomeUrl: string
  /** The parameters of the first redirect. */
  readonly parameters: Promise<URLSearchParams>
  /** Answers the redirect, and whoever comes again, in words. */
  finish(outcome: Outcome): void
  close(): Promise<void>
}

/** The redirect endpoint of a native app (RFC 8252, section 7.3) on a free port of the machine's loopback. */
export async function listenForRedirect(scope: Scope): Promise<LoopbackRedirect> {
  const received = deferred<URLSearchParams>()
  const finished = deferred<Outcome>()
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1')
    if (request.method !== 'GET' || !isNavigation(request)) return void response.writeHead(404).end()
    switch (pathname) {
      case '/callback':
        received.resolve(searchParams)
        // Answered when the exchange is done, and away from here: neither screen nor history keeps the code.
        void finished.promise.then(() => response.writeHead(303, { ...plainHeaders, location: '/done' }).end())
        return
      case '/done':
        void finished.promise.then((outcome) => showOutcome(response, outcome))
        return
      default:
        response.writeHead(404).end()
    }
  })
  await scope.race(
    new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', resolve)
    }),
  )
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    redirectUri: `${base}/callback`,
    outcomeUrl: `${base}/done`,
    parameters: received.promise,
    finish: finished.resolve,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

/** Images and scripts of pages elsewhere must not be able to end the sign-in. Chromium sends this to loopback always. */
function isNavigation({ headers }: IncomingMessage): boolean {
  const destination = headers['sec-fetch-dest']
  return (destination === undefined || destination === 'document') && headers['sec-purpose'] === undefined
}

const plainHeaders = { 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' }

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

function showOutcome(response: ServerResponse, { title, text }: Outcome): void {
  response.writeHead(200, {
    ...plainHeaders,
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
  })
  response.end(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${escapeHtml(title)}</title>
<style>
body { margin: 0; min-height: 100vh; display: grid; place-content: center; text-align: center; font: 18px/1.5 system-ui, sans-serif; color: #1c2430; background: #f5f6f8 }
h1 { margin: 0 0 .4em; font-size: 1.6em }
p { margin: 0; max-width: 34em; color: #4a5666 }
</style>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(text)}</p>
</html>
`)
}
