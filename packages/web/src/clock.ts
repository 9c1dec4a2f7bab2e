import { useEffect, useState } from 'react'

/** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
export const delay = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const finish = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const timer = setTimeout(finish, ms)
    signal.addEventListener('abort', finish)
  })

/** Runs `act` once, `ms` after the last of several calls. */
export function debounce(act: () => void, ms: number): { call(): void; cancel(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined
  const cancel = (): void => clearTimeout(timer)
  return {
    call: () => {
      cancel()
      timer = setTimeout(act, ms)
    },
    cancel,
  }
}

/** The time by the server's clock (`skewMs` ahead of this device's), renewed every `everyMs`. */
export function useNow(skewMs = 0, everyMs = 1000): number {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return now + skewMs
}
