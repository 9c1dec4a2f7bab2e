import type { Session } from '@anteroom/contract'
import { buttonClass } from '../design/button.tsx'
import { capturedWords } from '../session/captured-words.ts'
import { Timeline } from '../session/timeline.tsx'
import styles from './dashboard.module.css'
import { SessionDiagnosis } from './session-diagnosis.tsx'
import { SessionEgress } from './session-egress.tsx'

const originSentences = {
  warm: 'Its machine waited in the warm pool.',
  restored: 'Its machine was restored from the golden snapshot.',
  booted: 'Its machine booted from the golden image.',
} as const satisfies Record<NonNullable<Session['machine_origin']>, string>

/** Why it ended, its ids, its stages, where its machine went. */
export function SessionDetail({ session }: { session: Session }) {
  const { captured } = session
  const ids = [
    ['Session', session.id],
    ['Machine', session.browser_vm_id],
    ['Image', session.image_id],
    ['Screen', session.vnc_url],
    ['Connection', session.connection_id],
  ] as const
  return (
    <div className={styles.detail}>
      <div>
        {session.status === 'ready' && (
          <p className={styles.lookOn}>
            <a className={buttonClass('quiet')} href={`/connect/${session.id}`} target="_blank" rel="noreferrer">
              Look on
            </a>
          </p>
        )}
        <SessionDiagnosis session={session} />
        {captured && <p>{capturedWords(captured).join(' · ')}</p>}
        {session.machine_origin && <p>{originSentences[session.machine_origin]}</p>}
        <dl className={styles.ids}>
          {ids.map(
            ([name, value]) =>
              value && (
                <div key={name}>
                  <dt>{name}</dt>
                  <dd>
                    <code>{value}</code>
                  </dd>
                </div>
              ),
          )}
        </dl>
      </div>
      <div>
        <Timeline session={session} />
        <SessionEgress session={session} />
      </div>
    </div>
  )
}
