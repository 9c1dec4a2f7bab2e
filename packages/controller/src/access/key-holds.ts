import type { Clock } from '@anteroom/base'
import type { Store } from '../store/store.ts'
import { type HeldKey, opensUntil } from './api-keys.ts'

/** What lasts longer than a request and was opened with a key. */
export interface Hold {
  /** Aborts when the secret does not open anything any more: its key was revoked, has expired, or got another. */
  readonly signal: AbortSignal
  /** It is over by itself. */
  release(): void
}

/** A database that did not answer is asked again. */
const askAgainMs = 5_000

/** Ends what is held with keys when they end. Only this process changes keys while it runs, so it is told of each change. */
export class KeyHolds {
  readonly #store: Store
  readonly #clock: Clock
  readonly #wakes = new Map<string, Set<() => void>>()

  constructor(store: Store, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  hold(key: HeldKey): Hold {
    const ended = new AbortController()
    const released = new AbortController()
    void this.#watch(key, ended, released.signal)
    return { signal: ended.signal, release: () => released.abort() }
  }

  /** After the commit: everything that is held with the key is looked at again. */
  changed(keyId: string): void {
    for (const wake of this.#wakes.get(keyId) ?? []) wake()
  }

  async #watch(key: HeldKey, ended: AbortController, released: AbortSignal): Promise<void> {
    while (!released.aborted) {
      // Listening before the read: what changes during it wakes, too.
      const changed = new AbortController()
      const wakes = this.#wakes.get(key.id) ?? new Set()
      const wake = (): void => changed.abort()
      this.#wakes.set(key.id, wakes.add(wake))
      const leftMs = await this.#leftMs(key).catch(() => askAgainMs)
      if (leftMs <= 0) ended.abort()
      else await this.#clock.delay(leftMs, AbortSignal.any([changed.signal, released]))
      wakes.delete(wake)
      if (wakes.size === 0) this.#wakes.delete(key.id)
      if (leftMs <= 0) return
    }
  }

  async opens(key: HeldKey): Promise<boolean> {
    return (await this.#leftMs(key)) > 0
  }

  async #leftMs({ id, hash }: HeldKey): Promise<number> {
    const row = await this.#store.db.selectFrom('api_keys').selectAll().where('id', '=', id).executeTakeFirst()
    return row ? opensUntil(row, hash) - this.#clock.now() : 0
  }
}
