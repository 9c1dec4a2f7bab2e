import { type AgentCaptured, captureSummary, maxSealedBytes } from '@anteroom/contract'
import { z } from 'zod'

/** Of all that is not the sealed credential: a summary of counts and names, not a second way to send megabytes. */
const mostOtherBytes = 64 * 1024

const rest = z.object({ sealed: z.literal(''), summary: captureSummary })

/**
 * The answer to a capture, of which at most 64 KiB are parsed: JSON of megabytes can be made such that parsing it stops the event
 * loop for seconds and takes many times its size. What is sealed needs no parsing; it is cut out as it stands.
 * Throws an Error that says what is wrong, in words that can be logged.
 */
export function parseCaptureAnswer(body: Buffer): AgentCaptured {
  const { start, end } = sealedIn(body)
  if (end - start > maxSealedBytes) throw new Error(`what is sealed has more than ${maxSealedBytes} bytes`)
  if (body.length - (end - start) > mostOtherBytes) throw new Error('the summary is too long')
  const text = Buffer.concat([body.subarray(0, start), body.subarray(end)]).toString('utf8')
  // Anywhere but at the top it was not the sealed credential that was cut out, and this has none.
  const parsed = rest.safeParse(jsonOf(text))
  if (!parsed.success)
    throw new Error(parsed.error.issues.map(({ path, message }) => `/${path.join('/')} ${message}`).join('; '))
  return { sealed: body.toString('latin1', start, end), summary: parsed.data.summary }
}

/** Where the string of the first member named `sealed` lies. A compact JWE (RFC 7516, section 7.1) needs no escapes. */
function sealedIn(body: Buffer): { readonly start: number; readonly end: number } {
  const name = '"sealed"'
  const at = body.indexOf(name)
  // What may stand between the name and its value is short: a colon and white space.
  const between = /^\s*:\s*"/.exec(body.toString('latin1', at + name.length, at + name.length + 64))
  if (at < 0 || !between) throw new Error('it has no sealed credential')
  const start = at + name.length + between[0].length
  const end = body.indexOf('"', start)
  if (end < 0) throw new Error('the sealed credential has no end')
  if (body.subarray(start, end).includes('\\')) throw new Error('the sealed credential is no compact JWE')
  return { start, end }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('it is not JSON')
  }
}
