/** What the code that `withAwaitPoints` makes calls, as `crashPoints`. */
export interface Points {
  /** Nothing of what is awaited has been evaluated yet. */
  before(id: string): void
  /** What `value` settles to, with a point between that moment and whoever awaits it. */
  settled<T>(id: string, value: T): Promise<Awaited<T>>
  /** `values`, with a point before and after each step. */
  each<T>(id: string, values: AsyncIterable<T> | Iterable<T>): AsyncIterable<T>
  /** A resource that is nothing but a point when its block is left. */
  leaving(id: string, side: 'before' | 'after'): AsyncDisposable
}

export function createPoints(pass: (point: string) => void): Points {
  const points: Points = {
    before: (id) => pass(`before ${id}`),
    async settled<T>(id: string, value: T): Promise<Awaited<T>> {
      try {
        return await value
      } finally {
        pass(`after ${id}`)
      }
    },
    each: (id, values) => ({
      [Symbol.asyncIterator]() {
        const iterator = asAsync(values)[Symbol.asyncIterator]()
        return {
          next() {
            points.before(id)
            return points.settled(id, iterator.next())
          },
          return: async (value: unknown) => (await iterator.return?.(value)) ?? { done: true, value: undefined },
        }
      },
    }),
    leaving: (id, side) => ({ [Symbol.asyncDispose]: async () => pass(`${side} ${id}`) }),
  }
  return points
}

/** What `for await` makes of values that are not asynchronous themselves. */
function asAsync<T>(values: AsyncIterable<T> | Iterable<T>): AsyncIterable<T> {
  if (Symbol.asyncIterator in values) return values
  return (async function* () {
    yield* values
  })()
}
