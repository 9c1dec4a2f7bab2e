import { timingSafeEqual } from 'node:crypto'
import type { AuditCheckpoint } from '@anteroom/contract'
import type { Db, Tx } from '../store/store.ts'
import { keyIdOf, macOf } from './canonical.ts'

/** Where the chain should end, and where it does. */
export interface Ends {
  /** undefined: nothing was ever written, or the row was removed. */
  readonly head: AuditCheckpoint | undefined
  /** The newest entry that is there. */
  readonly last: { readonly seq: number; readonly hash: string } | undefined
}

/** In a transaction: nobody writes in between. */
export async function readEnds(tx: Tx): Promise<Ends> {
  const head = await tx.selectFrom('audit_head').select(['seq', 'hash', 'mac', 'key_id']).executeTakeFirst()
  const last = await tx.selectFrom('audit').select(['seq', 'hash']).orderBy('seq', 'desc').limit(1).executeTakeFirst()
  return { head, last }
}

/** The same in one statement, for those who only read. */
export async function readEndsAtOnce(db: Db): Promise<Ends> {
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

/** Signs where the chain ends, and knows its own signature. */
export class Signer {
  readonly #key: Buffer
  readonly #keyId: string
  /** What was signed last is what is asked about next. */
  #newest: AuditCheckpoint | undefined

  constructor(key: Buffer) {
    this.#key = key
    this.#keyId = keyIdOf(key)
  }

  sign({ seq, hash }: Pick<AuditCheckpoint, 'seq' | 'hash'>): AuditCheckpoint {
    this.#newest = { seq, hash, mac: macOf({ seq, hash }, this.#key), key_id: this.#keyId }
    return this.#newest
  }

  isGenuine(head: AuditCheckpoint): boolean {
    const { seq, hash, mac } = this.#newest ?? {}
    if (head.seq === seq && head.hash === hash && head.mac === mac) return true
    return timingSafeEqual(Buffer.from(macOf(head, this.#key)), Buffer.from(head.mac.padEnd(64).slice(0, 64)))
  }
}

/** What is wrong with the end of the chain; undefined: nothing. */
export function whatIsWrong({ head, last }: Ends, signer: Signer): string | undefined {
  if (!head) return last && 'the row that says where the chain ends was removed'
  if (!signer.isGenuine(head)) return 'where the chain ends was written without the key of the vault, or with another'
  if (!last || last.seq < head.seq) return `entries ${(last?.seq ?? 0) + 1} to ${head.seq} were removed from its end`
  if (last.seq > head.seq) return `entries ${head.seq + 1} to ${last.seq} were not written by this controller`
  return last.hash === head.hash ? undefined : `entry ${last.seq} was changed`
}
