import type { Session } from '@anteroom/contract'

/** What ends the session next unless somebody does something, and soon enough to be told. */
export interface NearLimit {
  readonly kind: 'hard' | 'idle' | 'first_connect'
  /** By the server's clock. */
  readonly at: number
  /** Can the person put it off? */
  readonly extendable: boolean
}

export interface Watching {
  /** By the server's clock. */
  readonly now: number
  readonly idleSeconds: number
  /** When the person last typed or pointed here, by the server's clock: the session's row learns it seconds later. */
  readonly inputAt: number | undefined
  /** Is the screen before them? */
  readonly isOpen: boolean
}

/** Told so long before; of a shorter limit, in its second half. */
const hardLeadMs = 120_000
const idleLeadMs = 60_000
/** Below what somebody has who comes at the last moment (a minute): their screen is opening already. */
const firstConnectLeadMs = 30_000

type Limit = NearLimit & { readonly leadMs: number }

export function nearLimit(session: Session, watching: Watching): NearLimit | undefined {
  if (session.status === 'ending' || session.status === 'ended') return undefined
  const next = limitsOf(session, watching).reduce((first, other) => (other.at < first.at ? other : first))
  const { leadMs, ...limit } = next
  return limit.at - watching.now <= leadMs ? limit : undefined
}

function limitsOf(session: Session, { idleSeconds, inputAt, isOpen }: Watching): [Limit, ...Limit[]] {
  const expiresAt = Date.parse(session.expires_at)
  const hard: Limit = {
    kind: 'hard',
    at: expiresAt,
    extendable: expiresAt < Date.parse(session.may_extend_until),
    leadMs: Math.min(hardLeadMs, (expiresAt - Date.parse(session.created_at)) / 2),
  }
  const limits: [Limit, ...Limit[]] = [hard]
  const idleMs = idleSeconds * 1000
  if (session.idle_expires_at !== null) {
    const at = Math.max(Date.parse(session.idle_expires_at), inputAt === undefined ? 0 : inputAt + idleMs)
    limits.push({ kind: 'idle', at, extendable: true, leadMs: Math.min(idleLeadMs, idleMs / 2) })
  }
  if (session.first_connect_expires_at !== null && !isOpen) {
    const at = Date.parse(session.first_connect_expires_at)
    limits.push({ kind: 'first_connect', at, extendable: true, leadMs: firstConnectLeadMs })
  }
  return limits
}
