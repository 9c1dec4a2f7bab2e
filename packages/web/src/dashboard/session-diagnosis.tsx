import type { Diagnosis, EvidenceKind, Session } from '@anteroom/contract'
import { useQuery } from '@tanstack/react-query'
import { get } from '../api/api.ts'
import styles from './dashboard.module.css'

const evidenceWords = {
  console: 'Console of the machine',
  vmm: 'Monitor (QEMU)',
  agent: 'Agent in the machine',
  egress: 'Connections of the machine',
  host: 'State of the host',
  timeline: 'Timeline of the session',
} as const satisfies Record<EvidenceKind, string>

/** What happened, what to do, what says so, and whether it is only this one. Until that is known, what the session's row says. */
export function SessionDiagnosis({ session }: { session: Session }) {
  const { failure } = session
  const { data, error } = useQuery<Diagnosis>({
    // Asked anew when the session moves on.
    queryKey: ['diagnosis', session.id, session.status],
    queryFn: ({ signal }) => get<Diagnosis>(`/v1/sessions/${session.id}/diagnosis`, signal),
    staleTime: Number.POSITIVE_INFINITY,
  })
  const detail = data?.detail ?? failure?.detail
  const summary = data?.summary ?? (failure && `${failure.code}${failure.stage ? ` in stage ${failure.stage}` : ''}`)
  const advice = data?.advice ?? (failure ? [failure.hint] : [])
  return (
    <div className={styles.diagnosis}>
      {summary && (
        <div className={styles.verdict} data-wrong={session.outcome === 'failed' || undefined}>
          <p className={styles.summary}>{summary}</p>
          {detail && <p className={styles.cause}>{detail}</p>}
        </div>
      )}
      {error && <p role="alert">The rest of the diagnosis is missing: {error.message}</p>}
      {advice.length > 0 && (
        <section aria-label="What to do">
          <h4>What to do</h4>
          <ol className={styles.advice}>
            {advice.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ol>
        </section>
      )}
      {data && data.evidence.length > 0 && <EvidenceLines evidence={data.evidence} open={data.code !== null} />}
      {data && data.code !== null && <Others similar={data.similar} />}
    </div>
  )
}

const EvidenceLines = ({ evidence, open }: { evidence: Diagnosis['evidence']; open: boolean }) => (
  <details open={open}>
    <summary>The lines that matter</summary>
    {evidence.map(({ kind, file, lines }) => (
      <figure key={kind} className={styles.evidence}>
        <figcaption>{evidenceWords[kind]}</figcaption>
        <pre>{lines.join('\n')}</pre>
        <p className={styles.fine}>{file ? <code>{file}</code> : 'The machine still runs: asked just now.'}</p>
      </figure>
    ))}
  </details>
)

const Others = ({ similar: { hours, ended, same_code, session_ids } }: Pick<Diagnosis, 'similar'>) => (
  <section aria-label="Others">
    <h4>Others</h4>
    <p>
      {session_ids.length === 0
        ? `No other session of the last ${hours} hours ended so.`
        : `${same_code} of ${ended} sessions of the last ${hours} hours ended so. The others:`}
    </p>
    {session_ids.map((id) => (
      <p key={id}>
        <code>{id}</code>
      </p>
    ))}
  </section>
)
