import type { Session, StageName } from '@anteroom/contract'
import { Check, Circle, LoaderCircle, X } from 'lucide-react'
import { useNow } from '../clock.ts'
import { formatCounter, formatDuration } from './format-time.ts'
import { stagesAhead, stageWords } from './stage-words.ts'
import styles from './timeline.module.css'

type Step = Session['stages'][number]

interface TimelineProps {
  readonly session: Session
  /** How far the server's clock is ahead of this device's. */
  readonly skewMs?: number
  /** Show what is still to come, too? */
  readonly ahead?: boolean
}

/** The stages of a session as they happen, each with the time it took. */
export function Timeline({ session, skewMs = 0, ahead = false }: TimelineProps) {
  const { stages, failure } = session
  const coming = ahead ? stagesAhead(stages.map((stage) => stage.name)) : []
  const broken = stages.findLastIndex((stage) => stage.name === failure?.stage)
  return (
    <ol className={styles.timeline}>
      {stages.map((stage, index) => (
        <Row
          // A stage can happen twice; two never start at the same moment.
          key={`${stage.name} ${stage.started_at}`}
          stage={stage}
          failed={index === broken}
          over={session.status === 'ended'}
          skewMs={skewMs}
        />
      ))}
      {coming.map((name) => (
        <Coming key={name} name={name} />
      ))}
    </ol>
  )
}

function Row({ stage, failed, over, skewMs }: { stage: Step; failed: boolean; over: boolean; skewMs: number }) {
  const { running, done } = stageWords[stage.name]
  if (failed || (over && stage.duration_ms === null))
    return (
      <li className={styles.failed}>
        <X size={18} aria-hidden />
        <span>
          {running} <em className={styles.aside}>stopped here</em>
        </span>
        {stage.duration_ms !== null && <span className={styles.time}>{formatDuration(stage.duration_ms)}</span>}
      </li>
    )
  if (stage.duration_ms === null)
    return (
      <li className={styles.running} aria-current="step">
        <LoaderCircle size={18} className={styles.turning} aria-hidden />
        <span>{running}</span>
        <Counter since={Date.parse(stage.started_at)} skewMs={skewMs} />
      </li>
    )
  return (
    <li className={styles.done}>
      <Check size={18} aria-hidden />
      <span>{done}</span>
      <span className={styles.time}>{formatDuration(stage.duration_ms)}</span>
    </li>
  )
}

function Counter({ since, skewMs }: { since: number; skewMs: number }) {
  const now = useNow(skewMs, 200)
  return (
    <span className={styles.time} aria-hidden>
      {formatCounter(now - since)}
    </span>
  )
}

const Coming = ({ name }: { name: StageName }) => (
  <li className={styles.coming}>
    <Circle size={18} aria-hidden />
    <span>{stageWords[name].running}</span>
  </li>
)
