import { STATUS_CODES } from 'node:http'
import type { AppError } from '@anteroom/base'
import { errorDefinitions } from '@anteroom/contract'

const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

export interface ErrorAnswer {
  readonly status: number
  /** Flat list of names and values. */
  readonly headers: string[]
  readonly body: string
}

/** What the person sees in the machine's browser instead of the page that they may not or cannot open. */
export function errorAnswer(error: AppError): ErrorAnswer {
  const { status, title, person } = errorDefinitions[error.code]
  const body = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}code{color:#666}</style>
<h1>${escaped(title)}</h1>
<p>${escaped(person)}</p>
<p>${escaped(error.detail ?? '')}</p>
<p><code>${error.code}</code></p>
</html>
`
  const headers = {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': `${Buffer.byteLength(body)}`,
    'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'",
    'Cache-Control': 'no-store',
    Connection: 'close',
  }
  return { status, headers: Object.entries(headers).flat(), body }
}

/** The same for a connection that is no HTTP response object: CONNECT and upgrades. */
export function rawErrorAnswer(error: AppError): string {
  const { status, headers, body } = errorAnswer(error)
  return rawHead(`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, headers) + body
}

/** A start line and a flat list of names and values, as on the wire. */
export function rawHead(startLine: string, headers: readonly string[]): string {
  let head = `${startLine}\r\n`
  for (let at = 0; at + 1 < headers.length; at += 2) head += `${headers[at]}: ${headers[at + 1]}\r\n`
  return `${head}\r\n`
}
