export interface DoorbellListener {
  /** Resolves when the bell rang since the last time, or the signal aborts. */
  rung(signal: AbortSignal): Promise<void>
  stop(): void
}

/** Wakes who waits for news of a topic. It says that there is news, not what: missing a ring while busy loses nothing. */
export class Doorbell {
  readonly #listeners = new Map<string, Set<() => void>>()

  ring(topic: string): void {
    for (const wake of this.#listeners.get(topic) ?? []) wake()
  }

  listen(topic: string): DoorbellListener {
    let hasRung = false
    let resolve: () => void = () => {}
    const wake = (): void => {
      hasRung = true
      resolve()
    }
    this.#add(topic, wake)
    return {
      async rung(signal) {
        await new Promise<void>((done) => {
          resolve = () => {
            signal.removeEventListener('abort', resolve)
            done()
          }
          signal.addEventListener('abort', resolve)
          if (hasRung || signal.aborted) resolve()
        })
        hasRung = false
      },
      stop: () => this.#remove(topic, wake),
    }
  }

  #add(topic: string, wake: () => void): void {
    const listeners = this.#listeners.get(topic) ?? new Set()
    this.#listeners.set(topic, listeners.add(wake))
  }

  #remove(topic: string, wake: () => void): void {
    const listeners = this.#listeners.get(topic)
    listeners?.delete(wake)
    if (listeners?.size === 0) this.#listeners.delete(topic)
  }
}
