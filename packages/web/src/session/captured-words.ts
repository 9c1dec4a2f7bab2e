import type { CaptureSummary } from '@anteroom/contract'

const tokenWords = {
  access_token: 'an access token',
  refresh_token: 'a refresh token',
  id_token: 'an ID token',
} as const satisfies Record<CaptureSummary['tokens'][number], string>

const count = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`

const listed = (parts: readonly string[]): string =>
  parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`

const capitalised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** What was handed over, one line each; counts and names, never values. */
export function capturedWords(captured: CaptureSummary): string[] {
  const lines: string[] = []
  if (captured.tokens.length > 0) lines.push(capitalised(listed(captured.tokens.map((token) => tokenWords[token]))))
  if (captured.scopes.length > 0) lines.push(`Permissions: ${captured.scopes.join(', ')}`)
  if (captured.cookies > 0) lines.push(count(captured.cookies, 'cookie', 'cookies'))
  const stored = [
    captured.local_storage > 0 && count(captured.local_storage, 'stored entry', 'stored entries'),
    captured.session_storage > 0 && count(captured.session_storage, 'entry of the tab', 'entries of the tab'),
    captured.indexed_db > 0 && count(captured.indexed_db, 'database', 'databases'),
  ].filter((part) => part !== false)
  if (stored.length > 0) lines.push(capitalised(listed(stored)))
  if (captured.origins.length > 0) lines.push(`From ${listed(captured.origins)}`)
  return lines.length > 0 ? lines : ['Nothing: the site had set neither cookies nor storage']
}
