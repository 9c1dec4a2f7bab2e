import { statfs } from 'node:fs/promises'
import { availableParallelism, loadavg } from 'node:os'
import { cpuPressure } from './cpu-pressure.ts'
import { availableMemoryMiB, totalMemoryMiB } from './memory.ts'

export interface HostMeasurement {
  /** Runnable processes, averaged over 1, 5 and 15 minutes. */
  readonly load: readonly [number, number, number]
  readonly cores: number
  /** Percent of the last ten seconds in which something waited for a processor; null: the kernel does not tell. */
  readonly cpuPressure: number | null
  readonly availableMemoryMiB: number
  readonly totalMemoryMiB: number
  /** Of the file system that `directory` is on. */
  readonly freeDiskMiB: number
}

/** What the host has left right now. */
export async function measureHost(directory: string): Promise<HostMeasurement> {
  const [available, total, disk, pressure] = await Promise.all([
    availableMemoryMiB(),
    totalMemoryMiB(),
    statfs(directory),
    cpuPressure(),
  ])
  return {
    load: loadavg() as [number, number, number],
    cores: availableParallelism(),
    cpuPressure: pressure,
    availableMemoryMiB: available,
    totalMemoryMiB: total,
    freeDiskMiB: Math.floor((disk.bavail * disk.bsize) / 1024 / 1024),
  }
}
