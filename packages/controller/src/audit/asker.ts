import { AsyncLocalStorage } from 'node:async_hooks'
import type { AuditActor } from '@anteroom/contract'

/** Who asked for what is being done, and by which request. */
export interface Asker {
  readonly actor: AuditActor
  readonly requestId: string | null
  readonly clientAddress: string | null
}

/** What no request asked for the controller does by itself. */
const itself: Asker = { actor: { kind: 'controller', id: null }, requestId: null, clientAddress: null }

const current = new AsyncLocalStorage<Asker>()

/**
 * All that `work` does, it does for this asker. Carried beside the arguments, so that no function on the way from a request to the
 * table can forget to pass it on, or pass another.
 */
export const askedBy = <T>(asker: Asker, work: () => T): T => current.run(asker, work)

export const currentAsker = (): Asker => current.getStore() ?? itself
