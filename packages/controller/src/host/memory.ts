import { readFile } from 'node:fs/promises'

const MiB = 1024 * 1024

/** All there is: the host's memory, or what the container may use of it. */
export async function totalMemoryMiB(): Promise<number> {
  const [meminfo, limit] = await Promise.all([
    readFile('/proc/meminfo', 'utf8'),
    readFile('/sys/fs/cgroup/memory.max', 'utf8').catch(() => 'max'),
  ])
  const totalKiB = Number(/^MemTotal:\s+(\d+) kB$/m.exec(meminfo)?.[1])
  return Math.floor(limit.trim() === 'max' ? totalKiB / 1024 : Math.min(totalKiB / 1024, Number(limit) / MiB))
}

/** Memory that a new machine could take: the kernel's estimate, and what the container's limit leaves. */
export async function availableMemoryMiB(): Promise<number> {
  const meminfo = await readFile('/proc/meminfo', 'utf8')
  const availableKiB = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1])
  return Math.floor(Math.min(availableKiB / 1024, (await leftInCgroup()) / MiB))
}

/** Infinity without a limit. The root of what this process sees is its container's cgroup (cgroup_namespaces(7)). */
async function leftInCgroup(): Promise<number> {
  try {
    const [limit, used, stat] = await Promise.all(
      ['memory.max', 'memory.current', 'memory.stat'].map((name) => readFile(`/sys/fs/cgroup/${name}`, 'utf8')),
    )
    if (limit === undefined || limit.trim() === 'max') return Number.POSITIVE_INFINITY
    // `current` counts the page cache, which the kernel gives up first.
    const cache = Number(/^inactive_file (\d+)$/m.exec(stat ?? '')?.[1] ?? 0)
    return Math.max(0, Number(limit) - Number(used) + cache)
  } catch {
    // cgroup v1, or no limit: the root cgroup of a host has no such files.
    return Number.POSITIVE_INFINITY
  }
}
