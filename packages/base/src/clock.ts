/** Every timer and every reading of the time goes through here, so that tests can hold the time still. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Monotonic milliseconds, for durations. */
  monotonic(): number
  /** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
  delay(ms: number, signal?: AbortSignal): Promise<void>
}

/** setTimeout fires at once for more than this (2^31 - 1). */
const longestTimerMs = 2_147_483_647

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  delay: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const finish = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', finish)
        resolve()
      }
      // Node cuts fractions off, and would wake us just before the deadline that we wait for.
      const timer = setTimeout(finish, Math.min(Math.ceil(ms), longestTimerMs))
      signal?.addEventListener('abort', finish)
    }),
}
