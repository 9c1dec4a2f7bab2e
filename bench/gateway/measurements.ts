import type { Scope } from '@anteroom/base'
import { cpuMs } from '../process-usage.ts'
import type { Stage } from './stage.ts'

export interface Load {
  readonly mbPerSecond: number
  readonly cpuMsPerGb: number
  /** Of the slowest viewer, in percent of the average. */
  readonly slowestPercent: number
  /** Of the whole relay: without viewers, when each has had its first picture, and at the end of the measured time. */
  readonly memoryMb: { readonly empty: number; readonly idle: number; readonly loaded: number }
}

const settleMs = 500

/** Everybody is sent all they can take. */
export async function measureLoad(stage: Stage, count: number, seconds: number, scope: Scope): Promise<Load> {
  const { machine, viewers, enter, memoryMb } = stage
  const wait = (ms: number): Promise<void> => scope.clock.delay(ms, scope.signal)
  await warmUp(stage, scope)
  const empty = await memoryMb()
  await enter(count)
  await wait(settleMs)
  const idle = await memoryMb()
  await machine.ask('flood')
  await wait(1000)
  const pids = await stage.processes()
  const counters = async () => {
    const [bytes, usedMs] = await Promise.all([viewers.ask({ do: 'count' }), cpuMs(pids)])
    return { bytes: bytes as number[], usedMs, at: scope.clock.monotonic() }
  }
  const before = await counters()
  await wait(1000 * seconds)
  const after = await counters()
  const ofViewers = after.bytes.map((bytes, n) => bytes - (before.bytes[n] ?? 0))
  const bytes = ofViewers.reduce((sum, value) => sum + value, 0)
  return {
    mbPerSecond: bytes / 1000 / (after.at - before.at),
    cpuMsPerGb: (after.usedMs - before.usedMs) / (bytes / 1e9),
    slowestPercent: (100 * Math.min(...ofViewers)) / (bytes / count),
    memoryMb: { empty, idle, loaded: await memoryMb() },
  }
}

/** Megabytes that the relay holds for each viewer that takes nothing while its machine goes on. */
export async function measureStall(stage: Stage, count: number, seconds: number, scope: Scope): Promise<number> {
  await warmUp(stage, scope)
  const before = await stage.memoryMb()
  await stage.enter(count)
  await stage.viewers.ask({ do: 'stall' })
  await stage.machine.ask('flood')
  await scope.clock.delay(1000 * seconds, scope.signal)
  return ((await stage.memoryMb()) - before) / count
}

/** Beside others that are sent all they can take, when there are any. */
export async function measureDelays({ machine, enter, type }: Stage, others: number, times: number): Promise<number[]> {
  await enter(others)
  await machine.ask('flood')
  return await type(times)
}

/** One viewer comes, looks and leaves: what a process needs once, such as compiled code, is not what a viewer needs. */
async function warmUp({ machine, viewers, enter }: Stage, scope: Scope): Promise<void> {
  await enter(1)
  await machine.ask('flood')
  await scope.clock.delay(2000, scope.signal)
  await machine.ask('rest')
  await viewers.ask({ do: 'leave' })
  await scope.clock.delay(settleMs, scope.signal)
}
