import { type FSWatcher, watch } from 'node:fs'
import type { Clock, Log } from '@anteroom/base'

/** Editors write a file in several steps; one change is what happens within so long of the step before. */
const debounceMs = 100

/** Calls `changed` after something changed in one of the directories. Gives what ends it. */
export function watchDirectories(
  directories: readonly string[],
  clock: Clock,
  log: Log,
  changed: () => Promise<void>,
): () => void {
  let pending = new AbortController()
  let turn = Promise.resolve()
  const run = async (signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return
    await changed().catch((error: unknown) => log.error({ error }, 'provider definitions could not be read again'))
  }
  const schedule = (): void => {
    pending.abort()
    pending = new AbortController()
    const { signal } = pending
    // One after the other: an older reading must not finish after a newer one.
    turn = Promise.all([turn, clock.delay(debounceMs, signal)]).then(() => run(signal))
  }
  const watchers = directories.flatMap((directory) => start(directory, log, schedule))
  return () => {
    pending.abort()
    for (const watcher of watchers) watcher.close()
  }
}

/** Without a watch (no inotify instances left, a file system that has none) everything else still works. */
function start(directory: string, log: Log, onChange: () => void): FSWatcher[] {
  const blind = (error: unknown): void =>
    log.warn({ directory, error }, 'changes of provider definitions here are seen at the next start only')
  try {
    return [watch(directory, { persistent: false }, onChange).on('error', blind)]
  } catch (error) {
    blind(error)
    return []
  }
}
