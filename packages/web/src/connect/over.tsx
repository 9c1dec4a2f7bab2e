import type { Session, SessionEnd } from '@anteroom/contract'
import { ArrowRight, CircleCheck, CircleSlash, ClockAlert, TriangleAlert } from 'lucide-react'
import { useEffect, useRef } from 'react'
import { buttonClass } from '../design/button.tsx'
import { capturedWords } from '../session/captured-words.ts'
import { formatDuration } from '../session/format-time.ts'
import { advice, outcomeTitle, teardownMs } from '../session/session-words.ts'
import { Timeline } from '../session/timeline.tsx'
import styles from './over.module.css'
import { Sheet } from './sheet.tsx'
import type { HostedPage } from './use-hosted-page.ts'

/** The end: what was kept, or why not and what to do. */
export function Over({ page: { session, provider } }: { page: HostedPage }) {
  const completed = session.outcome === 'completed'
  return (
    <Sheet title={outcomeTitle(session, provider)} lead={<Sign outcome={session.outcome} />}>
      {completed ? <Kept session={session} /> : <NotKept end={session} />}
      <Gone session={session} />
      <Leave end={session} />
      <details className={styles.details}>
        <summary>What happened, step by step</summary>
        <Timeline session={session} />
      </details>
      {session.failure && !completed && (
        <p className={styles.code}>
          <code>{session.failure.code}</code> · <code>{session.id}</code>
        </p>
      )}
    </Sheet>
  )
}

/** For whoever opens the link only after the end: how it ended, and nothing about the account. */
export function TooLate({ end }: { end: SessionEnd }) {
  useEffect(() => {
    document.title = 'This sign-in has ended · Anteroom'
  }, [])
  return (
    <Sheet title="This sign-in has ended" lead={<Sign outcome={end.outcome} />}>
      <p className={styles.quiet}>It had ended before its link was opened here.</p>
      {end.outcome === 'completed' ? (
        <p className={styles.message}>{end.provider_title} is connected.</p>
      ) : (
        <NotKept end={end} />
      )}
      <Leave end={end} />
      {end.failure && (
        <p className={styles.code}>
          <code>{end.failure.code}</code>
        </p>
      )}
    </Sheet>
  )
}

function Sign({ outcome }: { outcome: Session['outcome'] }) {
  switch (outcome) {
    case 'completed':
      return <CircleCheck size={44} strokeWidth={1.6} className={styles.good} aria-hidden />
    case 'expired':
      return <ClockAlert size={44} strokeWidth={1.6} className={styles.warn} aria-hidden />
    case 'cancelled':
      return <CircleSlash size={44} strokeWidth={1.6} className={styles.plain} aria-hidden />
    default:
      return <TriangleAlert size={44} strokeWidth={1.6} className={styles.bad} aria-hidden />
  }
}

const Kept = ({ session }: { session: Session }) => (
  <section className={styles.card}>
    <h2>Kept in the vault, encrypted</h2>
    <ul className={styles.list}>
      {(session.captured ? capturedWords(session.captured) : []).map((line) => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  </section>
)

const NotKept = ({ end }: { end: Pick<SessionEnd, 'failure'> }) => (
  <>
    {end.failure && <p className={styles.message}>{end.failure.message}</p>}
    <section className={styles.card}>
      <h2>What you can do</h2>
      <p>{advice(end)}</p>
    </section>
  </>
)

function Gone({ session }: { session: Session }) {
  const ms = teardownMs(session)
  const nothing = session.outcome === 'completed' ? 'Your password was not kept.' : 'Nothing was kept.'
  if (session.browser_vm_id === null) return <p className={styles.quiet}>{nothing}</p>
  return (
    <p className={styles.quiet}>
      The computer you used was destroyed{ms === null ? '' : ` in ${formatDuration(ms)}`}; nothing on it remains.{' '}
      {nothing}
    </p>
  )
}

function Leave({ end: { outcome, return_url } }: { end: Pick<Session, 'outcome' | 'return_url'> }) {
  const link = useRef<HTMLAnchorElement>(null)
  useEffect(() => link.current?.focus(), [])
  // Only web addresses: a `javascript:` address would run here.
  if (!return_url || !/^https?:\/\//.test(return_url))
    return outcome === 'completed' ? <p>You can close this page.</p> : null
  return (
    <div>
      <a ref={link} className={buttonClass('primary')} href={return_url}>
        Return to {new URL(return_url).host} <ArrowRight size={18} aria-hidden />
      </a>
    </div>
  )
}
