import type { SessionStatus } from '@anteroom/contract'

/**
 * Every change of state there is. A session goes forward one state at a time, or to `ending` from anywhere; how it ended is
 * its outcome. From `ended` nothing leads away.
 */
export const transitions = {
  queued: ['starting', 'ending'],
  starting: ['vm_created', 'ending'],
  vm_created: ['ready', 'ending'],
  ready: ['capturing', 'ending'],
  capturing: ['ending'],
  ending: ['ended'],
  ended: [],
} as const satisfies Record<SessionStatus, readonly SessionStatus[]>

export const mayBecome = (from: SessionStatus, to: SessionStatus): boolean =>
  (transitions[from] as readonly SessionStatus[]).includes(to)

/** States in which somebody may still sign in. */
export const isOpen = (status: SessionStatus): boolean => status !== 'ending' && status !== 'ended'

/** States in which the row holds a machine that runs; the CHECK constraint of the table says the same. */
export const isLive = (status: SessionStatus): boolean =>
  status === 'vm_created' || status === 'ready' || status === 'capturing'
