import { statfs } from 'node:fs/promises'
import { availableParallelism, loadavg } from 'node:os'
import { availableMemoryMiB, totalMemoryMiB } from './memory.ts'

export interface HostMeasurement {
  /** Runnable processes, averaged over 1, 5 and 15 minutes. */
  readonly load: readonly [number, number, number]
  readonly cores: number
  readonly availableMemoryMiB: number
  readonly totalMemoryMiB: number
  /** Of the file system that `directory` is on. */
  readonly freeDiskMiB: number
}

/** What the host has left right now. */
export async function measureHost(directory: string): Promise<HostMeasurement> {
  const [available, total, disk] = await Promise.all([availableMemoryMiB(), totalMemoryMiB(), statfs(directory)])
  return {
    load: loadavg() as [number, number, number],
    cores: availableParallelism(),
    availableMemoryMiB: available,
    totalMemoryMiB: total,
    freeDiskMiB: Math.floor((disk.bavail * disk.bsize) / 1024 / 1024),
  }
}
