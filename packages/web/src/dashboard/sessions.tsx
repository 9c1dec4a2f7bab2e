import type { ProviderSummary, Session } from '@anteroom/contract'
import { useQueryClient } from '@tanstack/react-query'
import { ChevronRight } from 'lucide-react'
import { Fragment, useState } from 'react'
import { post } from '../api/api.ts'
import { useNow } from '../clock.ts'
import { Button } from '../design/button.tsx'
import { Confirm } from '../design/confirm.tsx'
import { formatAge, formatDuration } from '../session/format-time.ts'
import styles from './dashboard.module.css'
import { Section } from './section.tsx'
import { SessionDetail } from './session-detail.tsx'
import { StatusMark } from './status-mark.tsx'

interface SessionsProps {
  readonly items: readonly Session[] | undefined
  /** Are there older ones than these? */
  readonly more: boolean
  readonly providers: readonly ProviderSummary[]
}

export function Sessions({ items, more, providers }: SessionsProps) {
  const client = useQueryClient()
  const [opened, setOpened] = useState<string>()
  const [ending, setEnding] = useState<string>()
  const now = useNow()
  const titles = new Map(providers.map(({ name, title }) => [name, title]))
  return (
    <Section title="Sessions" items={items} none="None yet. Choose Connect on a provider.">
      {(sessions) => (
        <div className={styles.scroll}>
          <table className={styles.table}>
            <thead>
              <tr>
                <th>Status</th>
                <th>Provider</th>
                <th>Subject</th>
                <th>Started</th>
                <th data-wide>Took</th>
                <th data-wide>Machine</th>
                <th>
                  <span className="unseen">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {sessions.map((session) => (
                <Fragment key={session.id}>
                  <tr>
                    <td>
                      <button
                        type="button"
                        className={styles.opener}
                        aria-expanded={opened === session.id}
                        onClick={() => setOpened(opened === session.id ? undefined : session.id)}
                      >
                        <ChevronRight size={16} aria-hidden />
                        <StatusMark session={session} />
                      </button>
                      {session.failure && session.outcome === 'failed' && <code>{session.failure.code}</code>}
                    </td>
                    <td>{titles.get(session.provider) ?? session.provider}</td>
                    <td className={styles.subject}>{session.subject}</td>
                    <td className={styles.number}>{ago(now - Date.parse(session.created_at))}</td>
                    <td className={styles.number} data-wide>
                      {formatDuration(
                        (session.ended_at ? Date.parse(session.ended_at) : now) - Date.parse(session.created_at),
                      )}
                    </td>
                    <td data-wide>{session.vm_ip ? <code>{session.vm_ip}</code> : '–'}</td>
                    <td className={styles.action}>
                      {session.status !== 'ended' && session.status !== 'ending' && (
                        <Button onClick={() => setEnding(session.id)}>Cancel</Button>
                      )}
                    </td>
                  </tr>
                  {opened === session.id && (
                    <tr className={styles.detailRow}>
                      <td colSpan={7}>
                        <SessionDetail session={session} />
                      </td>
                    </tr>
                  )}
                </Fragment>
              ))}
            </tbody>
          </table>
          {more && <p className={styles.none}>Older sessions: GET /v1/sessions.</p>}
          <Confirm
            open={ending !== undefined}
            title="Cancel this session?"
            yes="Cancel the session"
            no="Keep it"
            onClose={() => setEnding(undefined)}
            act={async () => {
              await post(`/v1/sessions/${ending}/cancel`)
              await client.invalidateQueries()
            }}
          >
            Whoever is signing in loses the screen. The machine is destroyed and nothing is kept.
          </Confirm>
        </div>
      )}
    </Section>
  )
}

const ago = (ms: number): string => (formatAge(ms) === 'now' ? 'now' : `${formatAge(ms)} ago`)
