import type { Scope } from '@anteroom/base'
import type { AgentStatus } from '@anteroom/contract'
import { Pulse } from './pulse.ts'

type Facts = Omit<AgentStatus, 'version'>

/** What GET /v1/status shows: every change gets a new version and wakes those who wait for one. */
export class StatusBoard {
  #status: AgentStatus = { version: 1, phase: 'idle', display: 'starting', browser: 'starting', failure: null }
  readonly #changed = new Pulse()

  get current(): AgentStatus {
    return this.#status
  }

  change(facts: Partial<Facts>): void {
    this.#status = { ...this.#status, ...facts, version: this.#status.version + 1 }
    this.#changed.beat()
  }

  /** At once when the version is over `after`, else at the next change, else after `waitMs`. */
  async beyond(after: number, waitMs: number, scope: Scope): Promise<AgentStatus> {
    if (this.#status.version <= after) await this.#changed.next(scope, waitMs)
    return this.#status
  }
}
