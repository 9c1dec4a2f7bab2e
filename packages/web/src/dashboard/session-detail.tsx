import type { Session } from '@anteroom/contract'
import { capturedWords } from '../session/captured-words.ts'
import { Timeline } from '../session/timeline.tsx'
import styles from './dashboard.module.css'

const originSentences = {
  warm: 'Its machine waited in the warm pool.',
  restored: 'Its machine was restored from the golden snapshot.',
  booted: 'Its machine booted from the golden image.',
} as const satisfies Record<NonNullable<Session['machine_origin']>, string>

/** All that a session's row knows: why it failed, its ids, its stages. */
export function SessionDetail({ session }: { session: Session }) {
  const { failure, captured } = session
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
        {failure && (
          <div className={styles.failure}>
            <p>
              <code>{failure.code}</code>
              {failure.stage && <> in stage {failure.stage}</>}
            </p>
            {failure.detail && <p>{failure.detail}</p>}
            <p>{failure.hint}</p>
          </div>
        )}
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
      <Timeline session={session} />
    </div>
  )
}
