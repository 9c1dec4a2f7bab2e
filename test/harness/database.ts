import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Scope } from '@anteroom/base'
import { type SessionStatus, sessionStatus, sessionStatuses } from '@anteroom/contract'

const fileOf = (home: string): string => join(home, 'anteroom.sqlite')

/** To do to a controller's database what another process on its host could. */
export const openDatabase = (home: string): DatabaseSync => new DatabaseSync(fileOf(home))

/** A controller's sessions by their rows, whether it runs or not. Only reads: the last writer to close would tidy up after a crash. */
export class SessionTable implements Disposable {
  readonly #file: DatabaseSync
  constructor(home: string) {
    this.#file = new DatabaseSync(fileOf(home), { readOnly: true })
  }

  statusOf(id: string): SessionStatus {
    return sessionStatus.parse(this.#file.prepare('select status from sessions where id = ?').get(id)?.status)
  }

  /** Resolves within a millisecond or two, so that a state can be met that lasts for a tenth of a second; or it has passed. */
  async untilStatus(id: string, wanted: SessionStatus): Promise<void> {
    await Scope.root('e2e').run({ name: `session is ${wanted}`, deadlineMs: 240_000 }, (scope) =>
      scope.until(
        () => sessionStatuses.indexOf(this.statusOf(id)) >= sessionStatuses.indexOf(wanted) || undefined,
        0.25,
      ),
    )
  }

  [Symbol.dispose](): void {
    this.#file.close()
  }
}
