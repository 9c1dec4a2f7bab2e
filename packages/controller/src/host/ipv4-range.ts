import ipaddr from 'ipaddr.js'

/** Addresses as numbers; both ends belong to it. */
export interface Ipv4Range {
  readonly first: number
  readonly last: number
}

/** `10.213.0.0/24`; an address alone is a range of one. */
export function ipv4Range(cidr: string): Ipv4Range {
  const [address, prefix] = ipaddr.IPv4.parseCIDR(cidr.includes('/') ? cidr : `${cidr}/32`)
  const size = 2 ** (32 - prefix)
  const number = Buffer.from(address.toByteArray()).readUInt32BE()
  const first = number - (number % size)
  return { first, last: first + size - 1 }
}

export const overlap = (a: Ipv4Range, b: Ipv4Range): boolean => a.first <= b.last && b.first <= a.last

export function ipv4Text(number: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(number)
  return bytes.join('.')
}
