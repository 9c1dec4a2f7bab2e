import type { WebsiteProvider } from '@anteroom/contract'

/** `*.example.com` is every host below it and the host itself. A cookie's domain may start with a dot. */
export function matchesHost(pattern: string, domain: string): boolean {
  const host = domain.replace(/^\./, '').toLowerCase()
  if (!pattern.startsWith('*.')) return host === pattern
  const base = pattern.slice(2)
  return host === base || host.endsWith(`.${base}`)
}

/** Hosts whose cookies and addresses may tell that the person is signed in. */
export const namedHosts = (provider: WebsiteProvider): string[] => [
  new URL(provider.start_url).hostname,
  ...provider.egress.allow,
  ...provider.capture.cookies,
]
