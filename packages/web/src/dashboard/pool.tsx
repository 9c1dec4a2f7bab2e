import type { PoolStatus } from '@anteroom/contract'
import styles from './dashboard.module.css'
import { Section } from './section.tsx'

/** Machines that wait for whoever comes next, and what they are restored from. */
export function Pool({ pool }: { readonly pool: PoolStatus | undefined }) {
  return (
    <>
      <Section title="Warm pool" items={pool && [pool]} count={false} none="">
        {([{ ready, wanted, filling, size, floor, ceiling, reason }]) => (
          <div className={styles.rows}>
            <div className={styles.row}>
              <div>
                <h3>
                  {ready} ready{' '}
                  <span>
                    of {wanted} wanted{filling > 0 && `, ${filling} on the way`},{' '}
                    {size === 'auto' ? `${floor} to ${ceiling} by demand` : 'a fixed number'}
                  </span>
                </h3>
                {reason && (
                  <p className={styles.fine}>
                    {reason.code ? <code>{reason.code}</code> : 'Waiting:'} {reason.detail}
                  </p>
                )}
              </div>
              {reason?.code && (
                <span className={styles.mark} data-mark="failed">
                  Not filling
                </span>
              )}
            </div>
          </div>
        )}
      </Section>
      <Section title="Golden snapshot" items={pool && [pool.snapshot]} count={false} none="">
        {([snapshot]) => (
          <div className={styles.rows}>
            <div className={styles.row}>
              <div>
                <h3>{snapshotWords[snapshot.status].title}</h3>
                <p className={styles.fine}>
                  {'id' in snapshot && <code>{snapshot.id}</code>}
                  {'code' in snapshot && snapshot.code && <code>{snapshot.code}</code>}{' '}
                  {'why' in snapshot && snapshot.why}
                </p>
              </div>
              <span className={styles.mark} data-mark={snapshotWords[snapshot.status].mark}>
                {snapshotWords[snapshot.status].word}
              </span>
            </div>
          </div>
        )}
      </Section>
    </>
  )
}

const snapshotWords = {
  ready: { title: 'Machines are restored from it', word: 'Ready', mark: 'completed' },
  building: { title: 'Machines boot meanwhile', word: 'Building', mark: 'live' },
  failed: { title: 'Machines boot', word: 'Failed', mark: 'failed' },
  off: { title: 'Machines boot', word: 'Off', mark: 'off' },
} as const satisfies Record<PoolStatus['snapshot']['status'], { title: string; word: string; mark: string }>
