import { networkInterfaces } from 'node:os'
import ipaddr from 'ipaddr.js'

/** Globally routable by their range, but answered by the cloud host itself (Azure's wire server). */
const metadataAddresses = new Set(['168.63.129.16'])
/** All that IANA has given out for global unicast (RFC 4291 section 2.4); outside of it lie the embedded IPv4 forms. */
const globalIpv6 = ipaddr.parseCIDR('2000::/3')

/**
 * May a machine be connected to this address? Only globally routable unicast, and not this host under a public address
 * of its own: its ports are guarded by the loopback and private ranges otherwise.
 */
export function isPublicAddress(
  address: string,
  ownAddresses: () => ReadonlySet<string> = ownPublicAddresses,
): boolean {
  if (!ipaddr.isValid(address)) return false
  const parsed = ipaddr.parse(address)
  // Special-purpose registries of RFC 6890, with IPv4-mapped, NAT64, 6to4 and Teredo, as ipaddr.js names them.
  if (parsed.range() !== 'unicast') return false
  if (parsed.kind() === 'ipv6' && !parsed.match(globalIpv6)) return false
  const canonical = parsed.toString()
  return !metadataAddresses.has(canonical) && !ownAddresses().has(canonical)
}

const ownPublicAddresses = (): ReadonlySet<string> =>
  new Set(
    Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .map(({ address }) => ipaddr.parse(address).toString()),
  )
