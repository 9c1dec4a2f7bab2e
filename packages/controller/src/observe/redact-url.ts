/** Parameters that say nothing about who asks: everything else in a query may be a ticket, a code or a token. */
const harmless = new Set(['limit', 'status', 'provider', 'after', 'access'])

/** The address as it may stand in a log: every value in the query hidden, but for those known to be harmless. */
export function withoutSecrets(url: string): string {
  const at = url.indexOf('?')
  if (at < 0) return url
  const query = [...new URLSearchParams(url.slice(at + 1))]
  return `${url.slice(0, at)}?${query.map(([name, value]) => `${name}=${harmless.has(name) ? value : '[secret]'}`).join('&')}`
}
