import { isIP, isIPv4 } from 'node:net'
import type { ProviderDefinition } from '@anteroom/contract'
import ipaddr from 'ipaddr.js'

type EgressPolicy = ProviderDefinition['egress']

/** `*.example.com` stands for every host below it and for the host itself. */
export const matchesPattern = (pattern: string, host: string): boolean =>
  pattern.startsWith('*.') ? host === pattern.slice(2) || host.endsWith(pattern.slice(1)) : host === pattern

export const isCovered = (patterns: readonly string[], host: string): boolean =>
  patterns.some((pattern) => matchesPattern(pattern, host))

/** Is there a host that both stand for? */
export const overlap = (a: string, b: string): boolean =>
  matchesPattern(a, b.replace(/^\*\./, '')) || matchesPattern(b, a.replace(/^\*\./, ''))

/** The address that the operator has fixed for the host. */
export const fixedAddress = (egress: EgressPolicy, host: string): string | undefined =>
  Object.entries(egress.hosts ?? {}).find(([pattern]) => matchesPattern(pattern, host))?.[1]

/** An address, or a name for one, that is not on the public internet. */
export function isPrivateHost(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '')
  if (isIP(bare)) return addressRange(bare) !== 'unicast'
  return bare === 'localhost' || bare.endsWith('.localhost')
}

/** What kind of address it is, as `ipaddr.js` names it; `unicast` is the public internet. */
export const addressRange = (address: string): string => ipaddr.process(address).range()

/** `127.1`, `2130706433` and `0x7f.1` are IPv4 addresses to a browser; a name never ends in a number (WHATWG URL, 4.4). */
export function isDisguisedAddress(host: string): boolean {
  const last = host.split('.').at(-1) ?? ''
  return /^(\d+|0x[0-9a-f]*)$/.test(last) && !isIPv4(host)
}
