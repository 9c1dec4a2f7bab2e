import { readFile } from 'node:fs/promises'
import type { Scope } from '@anteroom/base'

const lookMs = 500
const patienceMs = 10_000
const restingShare = 0.75

/** Waits until the processors were mostly idle for half a second, but not for ever. false: they never were. */
export async function untilHostRests(scope: Scope): Promise<boolean> {
  const until = scope.clock.monotonic() + patienceMs
  for (let before = await processorTime(); scope.clock.monotonic() < until; ) {
    await scope.clock.delay(lookMs, scope.signal)
    scope.throwIfOver()
    const now = await processorTime()
    if ((now.idle - before.idle) / (now.all - before.all) >= restingShare) return true
    before = now
  }
  return false
}

/** proc_stat(5): user nice system idle iowait irq softirq steal; guests are counted within user. */
async function processorTime(): Promise<{ idle: number; all: number }> {
  const [line = ''] = (await readFile('/proc/stat', 'utf8')).split('\n', 1)
  const fields = line.split(/\s+/).slice(1, 9).map(Number)
  return { idle: (fields[3] ?? 0) + (fields[4] ?? 0), all: fields.reduce((sum, value) => sum + value, 0) }
}
