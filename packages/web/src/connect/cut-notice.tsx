import { Unplug } from 'lucide-react'
import { Button } from '../design/button.tsx'
import styles from './cut-notice.module.css'

/** Over a screen that was cut: why, and what happens now. */
export function CutNotice({ why, waiting, onRetry }: { why: string; waiting: boolean; onRetry: () => void }) {
  return (
    <div className={styles.scrim}>
      <div className={styles.card} role="alert">
        <Unplug size={26} aria-hidden />
        <p className={styles.why}>{why}</p>
        <p className={styles.next}>
          {waiting ? 'Your sign-in is not lost. Connecting again by itself…' : 'Your sign-in is not lost.'}
        </p>
        <Button look={waiting ? 'quiet' : 'primary'} onClick={onRetry}>
          {waiting ? 'Connect now' : 'Show the screen here'}
        </Button>
      </div>
    </div>
  )
}
