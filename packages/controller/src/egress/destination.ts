/** Where a request wants to go, and whether a policy lets it. Names only; addresses are judged in `address.ts`. */
import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import type { EgressPolicy } from './egress.ts'

export interface Destination {
  /** As the WHATWG URL standard writes it: lower case, IDNA, an IP address in its one canonical form; no brackets, no trailing dot. */
  readonly host: string
  readonly port: number
}

/** RFC 1035 section 2.3.4, as text. */
const longestHost = 253

/** `host:port`, `[v6]:port`; nothing that could smuggle in credentials, a path or a second host. */
const authorityForm = /^(?<host>\[[0-9a-fA-F:.]+\]|[^\s[\]:/?#@\\%]+)(?::(?<port>\d{1,5}))?$/

/** Undefined when `authority` is not a host with a port. */
export function parseDestination(authority: string, defaultPort?: number): Destination | undefined {
  const groups = authorityForm.exec(authority)?.groups
  const port = groups?.port ? Number(groups.port) : defaultPort
  if (!groups?.host || !port || port > 65_535) return undefined
  // The browser's own parser: 2130706433, 0x7f.1, 0177.0.0.1 and １２７.0.0.1 all come out as 127.0.0.1.
  const url = URL.parse(`http://${groups.host}/`)
  if (!url) return undefined
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  return host === '' || host.length > longestHost ? undefined : { host, port }
}

const matches = (pattern: string, host: string): boolean => {
  const name = domainToASCII(pattern.replace(/^\*\./, ''))
  if (name === '') return false
  if (host === name) return true
  // An address has no subdomains.
  return pattern.startsWith('*.') && isIP(host) === 0 && host.endsWith(`.${name}`)
}

/** The address that the operator gave to `host`, private or not; an exact name before a pattern. */
export function fixedAddress(policy: EgressPolicy, host: string): string | undefined {
  const hosts = Object.entries(policy.hosts ?? {})
  return (hosts.find(([name]) => name === host) ?? hosts.find(([pattern]) => matches(pattern, host)))?.[1]
}

/** Why `destination` is refused by name or port; undefined when it is not. */
export function refusal(policy: EgressPolicy, { host, port }: Destination): string | undefined {
  if (!policy.allow.some((pattern) => matches(pattern, host))) return `${host} is not in egress.allow`
  const anyPort = fixedAddress(policy, host) !== undefined
  if (anyPort || port === 80 || port === 443 || policy.ports?.includes(port)) return undefined
  return `port ${port} of ${host} is not one that this provider uses`
}
