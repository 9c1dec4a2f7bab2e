import type { Session } from '@anteroom/contract'
import styles from './dashboard.module.css'

const statusWords = {
  queued: 'Queued',
  starting: 'Starting',
  vm_created: 'Waking up',
  ready: 'Signing in',
  capturing: 'Capturing',
  ending: 'Ending',
  ended: 'Ended',
} as const satisfies Record<Session['status'], string>

const outcomeWords = {
  completed: 'Completed',
  failed: 'Failed',
  expired: 'Expired',
  cancelled: 'Cancelled',
} as const satisfies Record<NonNullable<Session['outcome']>, string>

export function StatusMark({ session: { status, outcome } }: { session: Session }) {
  const ended = status === 'ended' && outcome !== null
  return (
    <span className={styles.mark} data-mark={ended ? outcome : 'live'}>
      {ended ? outcomeWords[outcome] : statusWords[status]}
    </span>
  )
}
