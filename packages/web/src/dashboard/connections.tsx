import type { Connection } from '@anteroom/contract'
import { useQueryClient } from '@tanstack/react-query'
import { Trash2 } from 'lucide-react'
import { useState } from 'react'
import { remove } from '../api/api.ts'
import { useNow } from '../clock.ts'
import { Button } from '../design/button.tsx'
import { Confirm } from '../design/confirm.tsx'
import { capturedWords } from '../session/captured-words.ts'
import { formatAge } from '../session/format-time.ts'
import styles from './dashboard.module.css'
import { Section } from './section.tsx'

const statusWords = {
  authenticated: 'Connected',
  needs_auth: 'Needs sign-in',
} as const satisfies Record<Connection['status'], string>

export function Connections({ items }: { items: readonly Connection[] | undefined }) {
  const client = useQueryClient()
  const [deleting, setDeleting] = useState<Connection>()
  const now = useNow()
  return (
    <Section title="Connections" items={items} none="None yet. A completed session makes one.">
      {(connections) => (
        <ul className={styles.rows}>
          {connections.map((connection) => (
            <li key={connection.id} className={styles.row}>
              <div>
                <h3>
                  {connection.subject} <span>at {connection.provider}</span>
                </h3>
                <p>
                  {connection.captured ? capturedWords(connection.captured).join(' · ') : 'Nothing in the vault yet'}
                </p>
                <p className={styles.fine}>
                  <code>{connection.id}</code> · version {connection.version} · renewed{' '}
                  {formatAge(now - Date.parse(connection.updated_at))} ago
                </p>
              </div>
              <span className={styles.mark} data-mark={connection.status === 'authenticated' ? 'completed' : 'expired'}>
                {statusWords[connection.status]}
              </span>
              <Button
                look="bare"
                aria-label={`Delete ${connection.subject} at ${connection.provider}`}
                title="Delete"
                onClick={() => setDeleting(connection)}
              >
                <Trash2 size={18} aria-hidden />
              </Button>
            </li>
          ))}
          <Confirm
            open={deleting !== undefined}
            title="Delete this connection?"
            yes="Delete"
            no="Keep it"
            onClose={() => setDeleting(undefined)}
            act={async () => {
              await remove(`/v1/connections/${deleting?.id}`)
              await client.invalidateQueries()
            }}
          >
            What the vault holds for {deleting?.subject} at {deleting?.provider} is erased. This cannot be undone.
          </Confirm>
        </ul>
      )}
    </Section>
  )
}
