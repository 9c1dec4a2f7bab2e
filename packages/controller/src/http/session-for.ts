import type { Session } from '@anteroom/contract'
import type { Principal } from '../access/access.ts'

/**
 * A session as this principal may see it. The account owner's browser is told in words why it failed; the detail may quote the
 * machine's console and is the operator's.
 */
export function sessionFor(principal: Principal | null, session: Session): Session {
  if (principal?.kind !== 'visitor' || session.failure === null) return session
  return { ...session, failure: { ...session.failure, detail: null } }
}
