/**
 * What a process can do to the world, until it is killed. Cut, nothing that it calls happens any more, and nothing that it has
 * called ever answers: whoever waits for it does so for ever.
 */
export class Lifeline {
  #isCut = false
  readonly #under = new Set<Promise<unknown>>()

  /** The same object for this process. `pure`: methods that do nothing to the world and answer at once. */
  of<T extends object>(target: T, pure: readonly (keyof T)[] = []): T {
    return new Proxy(target, {
      get: (_, name) => {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function' || pure.includes(name as keyof T)) return value
        return (...given: unknown[]) => (this.#isCut ? never : this.#answer(value.apply(target, given)))
      },
    })
  }

  /** Resolves when what had been begun has come to its end, unheard. */
  async cut(): Promise<void> {
    this.#isCut = true
    await Promise.race([Promise.allSettled(this.#under), new Promise((resolve) => setTimeout(resolve, 50))])
  }

  #answer(answer: unknown): unknown {
    if (!(answer instanceof Promise)) return answer
    this.#under.add(answer)
    return new Promise((resolve, reject) => {
      answer
        .finally(() => this.#under.delete(answer))
        .then(
          (value) => this.#isCut || resolve(value),
          (error: unknown) => this.#isCut || reject(error),
        )
    })
  }
}

const never = new Promise<never>(() => {})
