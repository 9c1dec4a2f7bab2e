import { isIP } from 'node:net'
import { isLoopback } from '@anteroom/base'
import { z } from 'zod'

/** One origin, exactly as browsers write it; what it sends over the network must be safe on the way. */
export const webOrigin = z.string().superRefine((text, context) => {
  const url = URL.parse(text)
  // A host with any other sign would be taken for several hosts by some header that it goes into.
  if (url === null || !/^https?:$/.test(url.protocol) || !/^[a-z\d.-]+$|^\[[a-f\d:]+\]$/.test(url.hostname))
    context.addIssue(`${text} is no origin: write it like https://app.example.com`)
  else if (url.origin !== text) context.addIssue(`${text} is more than an origin: write ${url.origin}`)
  else if (url.protocol === 'http:' && !isLoopback(url.hostname))
    context.addIssue(`${text} is read and changed by whoever is on the way: give it https; http is for this host alone`)
})

/** `10.0.0.7`, `fd00::7`, `10.0.0.0/24`. */
const addresses = z.string().refine((text) => {
  const [address = '', bits, ...more] = text.split('/')
  const width = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  return width > 0 && more.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= width))
}, 'must be an address, or a range of them like 10.0.0.0/24')

export const listenSchema = z.strictObject({
  host: z.string().default('127.0.0.1'),
  /** 0: any free port. */
  port: z.int().min(0).max(65535).default(4400),
  /** PEM files. Read again when they change. */
  tls: z.strictObject({ certificate_file: z.string().min(1), key_file: z.string().min(1) }).optional(),
  /** Reverse proxies that speak TLS with people's browsers: they alone may connect, and are believed who they speak for. */
  proxies: z.array(addresses).min(1).max(100).optional(),
})

interface Reached {
  readonly listen: z.infer<typeof listenSchema>
  readonly public_url?: string | undefined
}

/** Why nobody must be let in from other hosts like this; undefined: it is safe. */
export function listenProblem({ listen: { host, tls, proxies }, public_url }: Reached): string | undefined {
  if (isLoopback(host)) return undefined
  if (tls === undefined && proxies === undefined)
    return (
      `listen.host: ${host} is reached from other hosts in plain text, so whoever is on the way sees people sign in and takes their ` +
      'cookies. Give listen.tls a certificate_file and a key_file; or name the reverse proxies that do TLS in listen.proxies; or ' +
      'listen at 127.0.0.1'
    )
  if (!public_url?.startsWith('https:'))
    return `public_url: with listen.host ${host} it must be the https address at which people reach this controller`
  return undefined
}
