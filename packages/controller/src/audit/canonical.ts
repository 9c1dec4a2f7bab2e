import { createHash, createHmac } from 'node:crypto'
import type { AuditCheckpoint, AuditEntry } from '@anteroom/contract'

/** What the first entry names as the one before. */
export const beginning = '0'.repeat(64)

/**
 * JSON as RFC 8785 has it: members in the order of their names by UTF-16 code units, no spaces, strings and numbers as ECMAScript
 * prints them. Only for values without a lone surrogate, which that RFC refuses; entries are made without.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`
}

/** SHA-256 over the canonical JSON of the entry without its hash, in UTF-8; hexadecimal. */
export const hashOf = ({ hash: _, ...entry }: AuditEntry): string =>
  createHash('sha256').update(canonicalJson(entry)).digest('hex')

/** What cannot be made by whoever has the database alone. */
export function macOf({ seq, hash }: Pick<AuditCheckpoint, 'seq' | 'hash'>, key: Buffer): string {
  return createHmac('sha256', key).update(canonicalJson({ seq, hash })).digest('hex')
}

/** Tells keys apart and nothing of them. */
export const keyIdOf = (key: Buffer): string =>
  `ak_${createHmac('sha256', key).update('anteroom audit key id').digest('hex').slice(0, 16)}`
