import type { SessionEgress as Egress, EgressHost, Session } from '@anteroom/contract'
import { useQuery } from '@tanstack/react-query'
import { get } from '../api/api.ts'
import { formatBytes } from '../session/format-time.ts'
import shared from './dashboard.module.css'
import styles from './session-egress.module.css'

const everyMs = 5_000

const resultWords = {
  connected: 'Allowed',
  refused: 'Refused',
  unreachable: 'No answer',
} as const satisfies Record<EgressHost['result'], string>

/** Hosts that the machine of a session asked for. Nothing is shown of a machine that has asked for none. */
export function SessionEgress({ session }: { session: Session }) {
  const path = `/v1/sessions/${session.id}/egress`
  const { data, error } = useQuery<Egress>({
    queryKey: [path, session.status],
    queryFn: ({ signal }) => get<Egress>(path, signal),
    refetchInterval: session.status === 'ended' ? false : everyMs,
  })
  if (error) return <p role="alert">Where its machine went is not known: {error.message}</p>
  if (!data || data.hosts.length === 0) return null
  const refused = data.hosts.filter(({ result }) => result === 'refused').length
  return (
    <section className={styles.egress} aria-label="Where its machine went">
      <h4 className={styles.title}>
        Where its machine went{' '}
        <span>
          {data.hosts.length === 1 ? '1 host' : `${data.hosts.length} hosts`}
          {refused > 0 && `, ${refused} refused`}
        </span>
      </h4>
      {/* A keyboard scrolls it too. */}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable (WCAG 2.1.1). */}
      <ul className={styles.hosts} tabIndex={0} aria-label="Hosts">
        {data.hosts.map((host) => (
          <Host key={`${host.host} ${host.port} ${host.result}`} host={host} />
        ))}
      </ul>
    </section>
  )
}

const Host = ({ host: { host, port, result, reason, connections, bytes_up, bytes_down } }: { host: EgressHost }) => (
  <li className={styles.host}>
    <div className={styles.asked}>
      <code>{host === null ? 'Others, beyond the first 200' : `${host}:${port}`}</code>
      <p className={shared.fine}>
        {connections === 1 ? 'once' : `${connections} times`}
        {result === 'connected' && ` · ${formatBytes(bytes_up)} sent · ${formatBytes(bytes_down)} received`}
        {reason !== null && ` · ${reason}`}
      </p>
    </div>
    <span
      className={shared.mark}
      data-mark={result === 'connected' ? 'completed' : result === 'refused' ? 'failed' : 'expired'}
    >
      {resultWords[result]}
    </span>
  </li>
)
