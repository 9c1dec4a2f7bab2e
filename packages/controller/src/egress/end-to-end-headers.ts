/** Headers that concern one connection only (RFC 9110 section 7.6.1); every `Proxy-*` is among them. */
const hopByHop = /^(connection|keep-alive|te|trailer|upgrade|proxy-.*)$/i

/**
 * Of a flat list of names and values those that a proxy passes on. `Transfer-Encoding` stays: it tells node:http that
 * the body, which it takes apart and frames anew, has no known length.
 */
export function endToEndHeaders(raw: readonly string[]): string[] {
  const pairs: [string, string][] = []
  for (let at = 0; at + 1 < raw.length; at += 2) pairs.push([raw[at] ?? '', raw[at + 1] ?? ''])
  const named = new Set(
    pairs
      .filter(([name]) => name.toLowerCase() === 'connection')
      .flatMap(([, value]) => value.split(',').map((option) => option.trim().toLowerCase())),
  )
  return pairs.filter(([name]) => !hopByHop.test(name) && !named.has(name.toLowerCase())).flat()
}

export const withoutHost = (headers: readonly string[]): string[] =>
  headers.filter((_, at) => headers[at - (at % 2)]?.toLowerCase() !== 'host')
