import type { Scope } from '@anteroom/base'
import { type Deferred, deferred } from './deferred.ts'

/** Something that happens again and again, and that can be waited for. */
export class Pulse {
  #next: Deferred<void> = deferred()

  beat(): void {
    const { resolve } = this.#next
    this.#next = deferred()
    resolve()
  }

  /** The next beat, or `withinMs`, whichever is first. @throws AppError when the scope is over */
  async next(scope: Scope, withinMs = Number.POSITIVE_INFINITY): Promise<void> {
    const settled = new AbortController()
    const waited = scope.clock.delay(withinMs, AbortSignal.any([scope.signal, settled.signal]))
    await Promise.race([this.#next.promise, waited])
    settled.abort()
    scope.throwIfOver()
  }
}
