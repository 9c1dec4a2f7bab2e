import { setImmediate } from 'node:timers/promises'
import type { AuditEntry, AuditVerification } from '@anteroom/contract'
import type { Db, Row } from '../store/store.ts'
import { entryOf } from './entry.ts'
import { readEndsAtOnce, Signer } from './head.ts'
import { type Place, verifyChain, type Walked } from './verify-chain.ts'

/** Read and hashed without a pause: a few milliseconds. */
const batchSize = 250

export interface HowToVerify {
  /** Begin after this one, whose hash is believed. 0: at the beginning. */
  readonly afterSeq?: number
  /** What somebody kept elsewhere. */
  readonly kept?: readonly Place[]
}

/** In order, a few at a time. */
export async function* entriesBetween(db: Db, afterSeq: number, lastSeq: number): AsyncIterable<AuditEntry> {
  for (let seq = afterSeq; ; ) {
    const rows: Row<'audit'>[] = await db
      .selectFrom('audit')
      .selectAll()
      .where('seq', '>', seq)
      .where('seq', '<=', lastSeq)
      .orderBy('seq')
      .limit(batchSize)
      .execute()
    for (const row of rows) yield entryOf(row)
    seq = rows.at(-1)?.seq ?? seq
    if (rows.length < batchSize) return
    // SQLite answers within the turn: whoever else waits comes in between.
    await setImmediate()
  }
}

/** The chain of a database. Without the key nobody can tell whether its end is genuine. */
export async function verifyStored(
  db: Db,
  key: Buffer | undefined,
  { afterSeq = 0, kept }: HowToVerify,
): Promise<AuditVerification> {
  const { head, last } = await readEndsAtOnce(db)
  const after = await db.selectFrom('audit').select(['seq', 'hash']).where('seq', '=', afterSeq).executeTakeFirst()
  // What comes while this reads is not looked at.
  const until = Math.max(head?.seq ?? 0, last?.seq ?? 0)
  const walked = await verifyChain(entriesBetween(db, after?.seq ?? 0, until), {
    ...(after && { after }),
    ...(kept && { kept }),
    head: () => head,
  })
  return verdictOf(walked, head, key)
}

const forged = 'where the chain ends was not signed with the key of this vault'

export function verdictOf(
  { entries, from, first_wrong }: Pick<Walked, 'entries' | 'from' | 'first_wrong'>,
  head: AuditVerification['head'] | undefined,
  key: Buffer | undefined,
): AuditVerification {
  const genuine = head && key ? new Signer(key).isGenuine(head) : null
  const wrong =
    first_wrong ?? (genuine === false ? { seq: head?.seq ?? 0, problem: 'head_forged' as const, found: forged } : null)
  return {
    verdict: wrong === null ? 'whole' : 'damaged',
    entries,
    from_seq: from,
    head: head ?? null,
    head_is_genuine: genuine,
    first_wrong: wrong,
  }
}
