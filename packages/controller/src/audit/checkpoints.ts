import type { Log, Scope } from '@anteroom/base'
import type { AuditCheckpoint } from '@anteroom/contract'
import type { Store } from '../store/store.ts'
import type { Audit } from './audit.ts'

/** Seldom enough for the log, often enough that what is rewritten later is of minutes. */
const everyMs = 600_000

/**
 * Says in the log where the chain ends. Whoever collects the log elsewhere holds what nobody on this host can change; and a database
 * that was put back under the running controller is behind what it said before.
 */
export class Checkpoints {
  readonly #store: Pick<Store, 'db'>
  readonly #audit: Pick<Audit, 'checkpoint' | 'recordAlone'>
  #said: AuditCheckpoint | undefined

  constructor(store: Pick<Store, 'db'>, audit: Pick<Audit, 'checkpoint' | 'recordAlone'>) {
    this.#store = store
    this.#audit = audit
  }

  /** Until the scope is over. */
  async run(scope: Scope): Promise<void> {
    while (!scope.signal.aborted) {
      await this.#sayOrWarn(scope)
      await scope.clock.delay(everyMs, scope.signal)
    }
  }

  async say(log: Log): Promise<void> {
    const head = await this.#audit.checkpoint()
    if (this.#said && !(await this.#isStillThere(this.#said))) {
      const { seq, hash } = this.#said
      const found = `entry ${seq} is not the one that was there before: an older or another database was put in its place`
      log.error({ seq, hash }, `the audit was damaged: ${found}`)
      await this.#audit.recordAlone({
        ...{ action: 'audit.damaged', target: { kind: 'audit', id: null }, outcome: 'failed' },
        details: { found, head_seq: head?.seq ?? null, expected_seq: seq, expected_hash: hash },
      })
      this.#said = await this.#audit.checkpoint()
      return
    }
    if (!head || head.seq === this.#said?.seq) return
    this.#said = head
    log.info({ ...head }, 'audit checkpoint')
  }

  async #sayOrWarn(scope: Scope): Promise<void> {
    await this.say(scope.log).catch((error: unknown) => scope.log.warn({ error }, 'no audit checkpoint could be made'))
  }

  async #isStillThere({ seq, hash }: AuditCheckpoint): Promise<boolean> {
    const row = await this.#store.db.selectFrom('audit').select('hash').where('seq', '=', seq).executeTakeFirst()
    return row?.hash === hash
  }
}
