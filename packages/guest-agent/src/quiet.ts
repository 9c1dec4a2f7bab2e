import type { Scope } from '@anteroom/base'
import { listProcesses } from './processes.ts'

/** USER_HZ: ticks of /proc/<pid>/stat in a second (proc_pid_stat(5)); 100 on every architecture that runs here. */
const ticksPerSecond = 100
const windowMs = 1_000
/** Of one processor. An idle Chromium under emulation wakes a few times a second: 1 to 3 % were seen. */
const quietShare = 0.06
/** A browser that starts pauses between two bursts of work. */
const quietWindows = 3

/** Resolves when the machine's programs have had nothing to do for a few seconds on end. */
export async function untilQuiet(scope: Scope): Promise<void> {
  let [before, at] = [await ticksUsed(), scope.clock.monotonic()]
  for (let quiet = 0; quiet < quietWindows; ) {
    await scope.race(scope.clock.delay(windowMs, scope.signal))
    const [ticks, now] = [await ticksUsed(), scope.clock.monotonic()]
    const share = (ticks - before) / ticksPerSecond / ((now - at) / 1000)
    quiet = share < quietShare ? quiet + 1 : 0
    ;[before, at] = [ticks, now]
  }
}

/** Of all programs but this one, which works to find out. */
async function ticksUsed(): Promise<number> {
  const others = (await listProcesses()).filter(({ pid }) => pid !== process.pid)
  return others.reduce((sum, { ticks }) => sum + ticks, 0)
}
