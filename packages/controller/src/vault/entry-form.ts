import type { Secret } from '@anteroom/base'
import type { Row } from '../store/store.ts'
import type { Binding, Envelope } from './envelope.ts'

export type Entry = Pick<Row<'credentials'>, 'id' | 'connection_id' | 'version' | 'session_id'>
export type Owner = Pick<Row<'connections'>, 'id' | 'provider' | 'subject' | 'version' | 'head'>

/** What stands in the place of a wrapping key's id when an entry opens with none of them. */
export const unreadable = 'unreadable'

/**
 * How an entry is bound to what it belongs to. The form is a column: whoever changes it changes what the entry is bound to, and it
 * does not open. 1: before bindings had owners. 0: its data key was destroyed.
 */
const bindings: Readonly<Record<number, (entry: Entry, owner: Owner) => Binding>> = {
  1: (entry) => ['credential', entry.id, entry.version, entry.connection_id, entry.session_id],
  2: (entry, owner) => [
    ...['credential 2', entry.id, entry.version],
    ...[entry.connection_id, owner.provider, owner.subject, entry.session_id],
  ],
}
const presentForm = 2

export function formOf({ format }: Pick<Row<'credentials'>, 'format'>) {
  const binding = bindings[format]
  if (!binding) throw new Error(`an entry of form ${format} cannot be opened`)
  return {
    binding,
    open: (envelope: Envelope, entry: Row<'credentials'>, owner: Owner): Promise<Buffer> =>
      envelope.open({ ciphertext: entry.ciphertext, wrappedKey: entry.wrapped_key }, binding(entry, owner)),
  }
}

/** The columns of an entry that hold its content. */
export function sealEntry(envelope: Envelope, plaintext: Secret<Buffer>, entry: Entry, owner: Owner) {
  const binding = formOf({ format: presentForm }).binding(entry, owner)
  const { ciphertext, wrappedKey } = envelope.seal(plaintext.expose(), binding)
  return { ciphertext, wrapped_key: wrappedKey, format: presentForm }
}
