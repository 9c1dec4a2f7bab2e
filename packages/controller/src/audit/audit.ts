/** Who did what to which session, connection, key: append-only, each entry chained to the one before. */
import type { Clock, Log, Scope } from '@anteroom/base'
import type {
  AuditAction,
  AuditActor,
  AuditCheckpoint,
  AuditDetails,
  AuditEntry,
  AuditTarget,
  AuditVerification,
} from '@anteroom/contract'
import type { Store, Tx } from '../store/store.ts'
import { currentAsker } from './asker.ts'
import { beginning, hashOf } from './canonical.ts'
import { Checkpoints } from './checkpoints.ts'
import { boundDetails, boundText, rowOf } from './entry.ts'
import { exportOf } from './export-lines.ts'
import { type Ends, readEnds, readEndsAtOnce, Signer, whatIsWrong } from './head.ts'
import { type AuditFilter, type AuditPage, listEntries } from './list-entries.ts'
import { type HowToVerify, verifyStored } from './stored-chain.ts'

export { type Asker, askedBy } from './asker.ts'
export { exportOf, verifyExport } from './export-lines.ts'
export { verifyStored } from './stored-chain.ts'
export type { Place } from './verify-chain.ts'

/** Who asked and by which request is known already: see `askedBy`. */
export interface AuditRecord {
  readonly action: AuditAction
  readonly target: AuditTarget
  readonly outcome?: AuditEntry['outcome']
  readonly details?: AuditDetails
  /** Where who did it is not who asked, for example the person whose secret has just been found right. */
  readonly actor?: AuditActor
}

export interface Audit {
  /**
   * Writes the next entry in the transaction of what it tells of: both are kept, or neither.
   * @throws AppError store_unavailable, disk_full
   */
  record(tx: Tx, what: AuditRecord): Promise<void>
  /** In a transaction of its own: before something is given out, or done where there is no row to change. */
  recordAlone(what: AuditRecord): Promise<void>
  /** Newest first. */
  list(filter: AuditFilter): Promise<AuditPage>
  /** All entries after `afterSeq` as JSON lines, and in the last line where the chain ends; a few at a time are in memory. */
  export(afterSeq: number): AsyncIterable<string>
  /** Where the chain ends; undefined: it has not begun. */
  checkpoint(): Promise<AuditCheckpoint | undefined>
  /** Reads the chain and says which is the first entry that is not as it was written. Others are served meanwhile. */
  verify(how?: HowToVerify): Promise<AuditVerification>
  /** Says in the log where the chain ends, now, where that is news. */
  sayCheckpoint(log: Log): Promise<void>
  /** Says so every ten minutes until the scope is over. */
  run(scope: Scope): Promise<void>
}

export interface AuditParts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  /** Derived from the vault's key; asked for when it is needed first, because the vault writes entries too. */
  readonly keyOf: () => Buffer
}

export function createAudit({ store, clock, log, keyOf }: AuditParts): Audit {
  let known: Signer | undefined
  const signer = (): Signer => {
    known ??= new Signer(keyOf())
    return known
  }

  async function write(tx: Tx, previous: { seq: number; hash: string }, what: AuditRecord) {
    const { actor, requestId, clientAddress } = currentAsker()
    const { kind, id } = what.actor ?? actor
    const unsigned = {
      seq: previous.seq + 1,
      at: new Date(clock.now()).toISOString(),
      actor: { kind, id: id === null ? null : boundText(id) },
      action: what.action,
      target: what.target,
      outcome: what.outcome ?? 'done',
      request_id: requestId,
      client_address: clientAddress,
      details: boundDetails(what.details ?? {}),
      previous_hash: previous.hash,
      hash: '',
    } satisfies AuditEntry
    const entry = { ...unsigned, hash: hashOf(unsigned) }
    await tx.insertInto('audit').values(rowOf(entry)).execute()
    return entry
  }

  /** What was found is an entry too: going on without it would sign what is left as the whole. */
  async function noteDamage(tx: Tx, ends: Ends, found: string) {
    log.error({ head: ends.head, last: ends.last }, `the audit was damaged: ${found}`)
    const { head, last } = ends
    // A genuine end says better than the rows where the chain was; what lies between stays missing.
    const from = head && signer().isGenuine(head) ? head : { seq: last?.seq ?? 0, hash: last?.hash ?? beginning }
    return await write(tx, from.seq < (last?.seq ?? 0) && last ? last : from, {
      action: 'audit.damaged',
      target: { kind: 'audit', id: null },
      outcome: 'failed',
      details: { found, head_seq: head?.seq ?? null, last_seq: last?.seq ?? null },
      actor: { kind: 'controller', id: null },
    })
  }

  async function record(tx: Tx, what: AuditRecord): Promise<void> {
    const ends = await readEnds(tx)
    const wrong = whatIsWrong(ends, signer())
    const previous =
      wrong === undefined ? (ends.head ?? { seq: 0, hash: beginning }) : await noteDamage(tx, ends, wrong)
    const head = signer().sign(await write(tx, previous, what))
    await tx
      .insertInto('audit_head')
      .values({ id: 1, ...head })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(head))
      .execute()
  }

  const checkpoint = async (): Promise<AuditCheckpoint | undefined> => (await readEndsAtOnce(store.db)).head
  const recordAlone = (what: AuditRecord): Promise<void> => store.transaction((tx) => record(tx, what))
  const checkpoints = new Checkpoints(store, { checkpoint, recordAlone })
  return {
    record,
    recordAlone,
    list: (filter) => listEntries(store.db, filter),
    export: (afterSeq) => exportOf(store.db, afterSeq),
    checkpoint,
    verify: (how = {}) => verifyStored(store.db, keyOf(), how),
    sayCheckpoint: (log) => checkpoints.say(log),
    run: (scope) => checkpoints.run(scope),
  }
}
