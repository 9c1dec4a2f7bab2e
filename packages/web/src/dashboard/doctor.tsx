import type { DoctorCheck, DoctorReport, Verdict } from '@anteroom/contract'
import { useNow } from '../clock.ts'
import { Button } from '../design/button.tsx'
import { formatAge } from '../session/format-time.ts'
import styles from './dashboard.module.css'
import { Section } from './section.tsx'

const verdictWords = {
  ok: { sentence: 'All is well', word: 'Well', mark: 'completed' },
  warning: {
    sentence: 'Sessions can be served; not everything is as it could be',
    word: 'Warning',
    mark: 'expired',
  },
  failed: { sentence: 'Something is wrong that must be repaired', word: 'Failed', mark: 'failed' },
} as const satisfies Record<Verdict, { sentence: string; word: string; mark: string }>

const nameOf = ({ name }: DoctorCheck): string => name.replaceAll('_', ' ')

interface DoctorProps {
  readonly report: DoctorReport | undefined
  readonly isLooking: boolean
  onLook(): void
}

/** What is not well on this host, each with its remedy; the rest on request. */
export function Doctor({ report, isLooking, onLook }: DoctorProps) {
  const now = useNow()
  return (
    <Section title="Doctor" items={report && [report]} count={false} none="">
      {([{ at, verdict, checks }]) => {
        const wrong = checks
          .filter((check) => check.verdict !== 'ok')
          .toSorted((a, b) => Number(b.verdict === 'failed') - Number(a.verdict === 'failed'))
        const well = checks.filter((check) => check.verdict === 'ok')
        return (
          <div className={styles.rows}>
            <div className={styles.row}>
              <div>
                <h3>{verdictWords[verdict].sentence}</h3>
                <p className={styles.fine}>Looked {ago(now - Date.parse(at))}</p>
              </div>
              <Button onClick={onLook} disabled={isLooking}>
                Look again
              </Button>
            </div>
            {wrong.map((check) => (
              <div key={check.name} className={styles.row}>
                <div>
                  <h3 className={styles.check}>{nameOf(check)}</h3>
                  <p>{check.found}</p>
                  {check.remedy && (
                    <p className={styles.remedy}>
                      <strong>What to do:</strong> {check.remedy}
                    </p>
                  )}
                </div>
                <span className={styles.mark} data-mark={verdictWords[check.verdict].mark}>
                  {verdictWords[check.verdict].word}
                </span>
              </div>
            ))}
            <details className={styles.row}>
              <summary>
                {well.length} of {checks.length} checks are well
              </summary>
              <dl className={styles.checks}>
                {well.map((check) => (
                  <div key={check.name}>
                    <dt>{nameOf(check)}</dt>
                    <dd>{check.found}</dd>
                  </div>
                ))}
              </dl>
            </details>
          </div>
        )
      }}
    </Section>
  )
}

const ago = (ms: number): string => (formatAge(ms) === 'now' ? 'just now' : `${formatAge(ms)} ago`)

/** At the top, where whoever opens the page at night looks first. */
export function DoctorAlarm({ report }: { report: DoctorReport | undefined }) {
  const failed = report?.checks.filter(({ verdict }) => verdict === 'failed') ?? []
  if (failed.length === 0) return null
  return (
    <p role="alert" className={styles.alarm}>
      {verdictWords.failed.sentence}: {failed.map(nameOf).join(', ')}. <a href="#doctor">What to do</a>
    </p>
  )
}
