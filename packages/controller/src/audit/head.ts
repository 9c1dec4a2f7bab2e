import { timingSafeEqual } from 'node:crypto'
import type { AuditCheckpoint } from '@anteroom/contract'
import type { Db } from '../store/store.ts'
import { keyIdOf, macOf } from './canonical.ts'

/** Where the chain should end, and where it does. */
export interface Ends {
  /** undefined: nothing was ever written, or the row was removed. */
  readonly head: AuditCheckpoint | undefined
  /** The newest entry that is there. */
  readonly last: { readonly seq: number; readonly hash: string } | undefined
}

/** Both in one statement: nobody writes in between. */
export async function readEnds(db: Db): Promise<Ends> {
  const row = await db
    .selectFrom(db.selectNoFrom(({ val }) => val(1).as('one')).as('always'))
    .leftJoin('audit_head as head', 'head.id', 'always.one')
    .leftJoin('audit as last', (join) =>
      join.on('last.seq', '=', (eb) => eb.selectFrom('audit').select(eb.fn.max('seq').as('seq'))),
    )
    .select([
      ...(['head.seq as seq', 'head.hash as hash', 'head.mac as mac', 'head.key_id as key_id'] as const),
      ...(['last.seq as last_seq', 'last.hash as last_hash'] as const),
    ])
    .executeTakeFirstOrThrow()
  const { seq, hash, mac, key_id, last_seq, last_hash } = row
  return {
    head: seq === null || hash === null || mac === null || key_id === null ? undefined : { seq, hash, mac, key_id },
    last: last_seq === null || last_hash === null ? undefined : { seq: last_seq, hash: last_hash },
  }
}

export const sign = (end: { readonly seq: number; readonly hash: string }, key: Buffer): AuditCheckpoint => ({
  seq: end.seq,
  hash: end.hash,
  mac: macOf(end, key),
  key_id: keyIdOf(key),
})

export function isGenuine(head: AuditCheckpoint, key: Buffer): boolean {
  return timingSafeEqual(Buffer.from(macOf(head, key)), Buffer.from(head.mac.padEnd(64).slice(0, 64)))
}

/** What is wrong with the end of the chain; undefined: nothing. */
export function whatIsWrong({ head, last }: Ends, key: Buffer): string | undefined {
  if (!head) return last && 'the row that says where the chain ends was removed'
  if (!isGenuine(head, key)) return 'where the chain ends was written without the key of the vault, or with another'
  if (!last || last.seq < head.seq) return `entries ${(last?.seq ?? 0) + 1} to ${head.seq} were removed from its end`
  if (last.seq > head.seq) return `entries ${head.seq + 1} to ${last.seq} were not written by this controller`
  return last.hash === head.hash ? undefined : `entry ${last.seq} was changed`
}
