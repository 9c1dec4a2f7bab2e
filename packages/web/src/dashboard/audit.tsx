import { type AuditAction, type AuditActor, type AuditEntry, auditActions, auditActorKinds } from '@anteroom/contract'
import { useState } from 'react'
import { Button } from '../design/button.tsx'
import field from '../design/field.module.css'
import styles from './audit.module.css'
import dashboard from './dashboard.module.css'
import { Section } from './section.tsx'
import { usePolled } from './use-polled.ts'

const perPage = 25
const everyMs = 10_000

const actors = {
  key: 'API keys',
  operator: 'The operator',
  visitor: 'Account owners',
  nobody: 'Without a key',
  controller: 'The controller itself',
} as const satisfies Record<AuditActor['kind'], string>

interface Filter {
  readonly action: AuditAction | ''
  readonly actor: AuditActor['kind'] | ''
  readonly target: string
}

/** Who did what, newest first. */
export function Audit() {
  const [filter, setFilter] = useState<Filter>({ action: '', actor: '', target: '' })
  /** Where each page before this one began. */
  const [cursors, setCursors] = useState<readonly string[]>([])
  const { data } = usePolled<{ items: AuditEntry[]; next_cursor: string | null }>(addressOf(filter, cursors), everyMs)
  const change = (changed: Partial<Filter>): void => {
    setFilter({ ...filter, ...changed })
    setCursors([])
  }
  const isFiltered = filter.action !== '' || filter.actor !== '' || filter.target.trim() !== ''
  const older = data?.next_cursor ?? null
  return (
    <div>
      <Section
        title="Audit"
        items={data?.items}
        count={false}
        none={isFiltered ? 'Nothing like this was done.' : 'Nothing was done yet.'}
        above={<Filters filter={filter} onChange={change} />}
      >
        {(entries) => <Entries entries={entries} />}
      </Section>
      {(cursors.length > 0 || older !== null) && (
        <nav className={styles.pages} aria-label="Pages of the audit">
          <Button disabled={cursors.length === 0} onClick={() => setCursors(cursors.slice(0, -1))}>
            Newer
          </Button>
          <Button disabled={older === null} onClick={() => older !== null && setCursors([...cursors, older])}>
            Older
          </Button>
        </nav>
      )}
    </div>
  )
}

function addressOf({ action, actor, target }: Filter, cursors: readonly string[]): string {
  const query = new URLSearchParams({ limit: String(perPage) })
  if (action !== '') query.set('action', action)
  if (actor !== '') query.set('actor', actor)
  if (target.trim() !== '') query.set('target', target.trim())
  const cursor = cursors.at(-1)
  if (cursor !== undefined) query.set('cursor', cursor)
  return `/v1/audit?${query}`
}

function Filters({ filter, onChange }: { filter: Filter; onChange: (changed: Partial<Filter>) => void }) {
  return (
    <div className={styles.filters}>
      <label>
        What
        <select
          className={field.input}
          value={filter.action}
          onChange={({ target }) => onChange({ action: auditActions.find((action) => action === target.value) ?? '' })}
        >
          <option value="">Everything</option>
          {auditActions.map((action) => (
            <option key={action}>{action}</option>
          ))}
        </select>
      </label>
      <label>
        By
        <select
          className={field.input}
          value={filter.actor}
          onChange={({ target }) => onChange({ actor: auditActorKinds.find((kind) => kind === target.value) ?? '' })}
        >
          <option value="">Everybody</option>
          {auditActorKinds.map((kind) => (
            <option key={kind} value={kind}>
              {actors[kind]}
            </option>
          ))}
        </select>
      </label>
      <label>
        To
        <input
          className={field.input}
          type="search"
          placeholder="Id of a session, connection, key"
          spellCheck={false}
          value={filter.target}
          maxLength={64}
          onChange={({ target }) => onChange({ target: target.value })}
        />
      </label>
    </div>
  )
}

function Entries({ entries }: { entries: readonly AuditEntry[] }) {
  return (
    <div className={dashboard.scroll}>
      <table className={`${dashboard.table} ${styles.table}`}>
        <thead>
          <tr>
            <th>When</th>
            <th>What</th>
            <th>By</th>
            <th>To</th>
            <th data-wide>From</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => (
            <tr key={entry.seq} data-outcome={entry.outcome}>
              <td className={dashboard.number}>
                <time dateTime={entry.at} title={`Entry ${entry.seq}, ${entry.at}`}>
                  {when(entry.at)}
                </time>
              </td>
              <td>
                {entry.action}
                {entry.outcome !== 'done' && <span className={styles.outcome}> {entry.outcome}</span>}
                <Details details={entry.details} />
              </td>
              <td data-says="by">
                <Party words={wordsOf(entry.actor)} id={entry.actor.id} />
              </td>
              <td data-says="to">
                <Party words={entry.target.id === null ? entry.target.kind : ''} id={entry.target.id} />
              </td>
              <td data-wide>{entry.client_address ?? '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Party({ words, id }: { words: string; id: string | null }) {
  return (
    <>
      {words} {id !== null && <code title={id}>{id}</code>}
    </>
  )
}

function Details({ details }: { details: AuditEntry['details'] }) {
  const told = Object.entries(details).filter(([, value]) => value !== null)
  if (told.length === 0) return null
  return (
    <span className={styles.details}>
      {told.map(([name, value]) => `${name.replaceAll('_', ' ')} ${String(value)}`).join(' · ')}
    </span>
  )
}

function wordsOf({ kind }: AuditActor): string {
  switch (kind) {
    case 'key':
      return ''
    case 'visitor':
      return 'account owner of'
    case 'operator':
    case 'nobody':
    case 'controller':
      return kind
    default:
      return kind satisfies never
  }
}

/** In the reader's own time zone and manner. */
const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'medium' })
const when = (at: string): string => format.format(new Date(at))
