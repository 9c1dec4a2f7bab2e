import type { AuditDetails, AuditEntry } from '@anteroom/contract'
import type { Row } from '../store/store.ts'

const mostDetails = 16
const longestText = 256

/** As it may be kept: bounded, and in a form that has one way to be written. */
export function boundDetails(details: AuditDetails): AuditDetails {
  const bounded = Object.entries(details).slice(0, mostDetails)
  return Object.fromEntries(
    bounded.map(([name, value]) => [name, typeof value === 'string' ? boundText(value) : value]),
  )
}

/** RFC 8785 has no form for half of a character. */
export const boundText = (text: string): string => text.slice(0, longestText).toWellFormed()

export const entryOf = (row: Row<'audit'>): AuditEntry => ({
  seq: row.seq,
  at: new Date(row.at).toISOString(),
  actor: { kind: row.actor_kind, id: row.actor_id },
  action: row.action,
  target: { kind: row.target_kind, id: row.target_id },
  outcome: row.outcome,
  request_id: row.request_id,
  client_address: row.client_address,
  details: JSON.parse(row.details),
  previous_hash: row.previous_hash,
  hash: row.hash,
})

export const rowOf = (entry: AuditEntry): Row<'audit'> => ({
  seq: entry.seq,
  at: Date.parse(entry.at),
  actor_kind: entry.actor.kind,
  actor_id: entry.actor.id,
  action: entry.action,
  target_kind: entry.target.kind,
  target_id: entry.target.id,
  outcome: entry.outcome,
  request_id: entry.request_id,
  client_address: entry.client_address,
  details: JSON.stringify(entry.details),
  previous_hash: entry.previous_hash,
  hash: entry.hash,
})
