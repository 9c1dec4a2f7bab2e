import type { SessionEnd } from '@anteroom/contract'
import { ApiProblem, post } from '../api/api.ts'

/** How this browser came here: with a fresh link, with one that somebody opened before, by its cookie alone, or after the end. */
export type Arrival = 'entered' | 'used_link' | 'no_link' | { readonly end: SessionEnd }

/** Trades the link's secret for a cookie. The secret leaves the address bar, and so the history, at once. */
export async function enter(sessionId: string): Promise<Arrival> {
  const secret = new URLSearchParams(location.hash.slice(1)).get('entry')
  if (!secret) return 'no_link'
  const forget = (): void => history.replaceState(null, '', location.pathname)
  try {
    const { end } = await post<{ end: SessionEnd | null }>(`/v1/sessions/${sessionId}/entry`, { secret })
    // After the end the secret stays: a reload tells the same again.
    if (end) return { end }
    forget()
    return 'entered'
  } catch (error) {
    // Anything else (no answer, a restart) leaves the secret unused, and a reload may try it again.
    if (!(error instanceof ApiProblem) || error.status >= 500 || error.status === 429) throw error
    forget()
    return 'used_link'
  }
}
