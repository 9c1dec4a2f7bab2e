/** Is this host (a name, an address, or either as it stands in a URL) the one that asks, whoever that is? */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  // Addresses can be written in many ways; a URL's parser knows one.
  const name = URL.parse(`http://${bare.includes(':') ? `[${bare}]` : bare}`)?.hostname ?? bare
  return name === 'localhost' || name === '[::1]' || /^127(\.\d+){3}$/.test(name)
}
