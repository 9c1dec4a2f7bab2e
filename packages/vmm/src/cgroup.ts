import { mkdir, readdir, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Scope, systemErrorCode } from '@anteroom/base'
import { type CgroupController, type CgroupMounts, findCgroupMounts } from './cgroup-mounts.ts'
import { niceness } from './yield-to-others.ts'

/** What a monitor may take of the host, where the host can limit it. */
export interface VmmLimits {
  readonly memoryMiB: number
  /** Processors' worth of time. */
  readonly processors: number
  /** Threads and processes together. */
  readonly threads: number
}

/** The weight that a process has at the niceness of monitors, of 1024 at 0 (kernel/sched/core.c, sched_prio_to_weight). */
const cpuShares = 36
const periodUs = 100_000
const mib = 1024 * 1024

const groupName = (instance: string, id: string): string => `anteroom-${instance}-${id}`

/** File and value of each limit. */
function settings({ version }: CgroupMounts, limits: VmmLimits): Record<CgroupController, [string, string][]> {
  const bytes = String(limits.memoryMiB * mib)
  const quotaUs = limits.processors * periodUs
  if (version === 2)
    return {
      memory: [['memory.max', bytes]],
      cpu: [
        ['cpu.max', `${quotaUs} ${periodUs}`],
        ['cpu.weight.nice', String(niceness)],
      ],
      pids: [['pids.max', String(limits.threads)]],
    }
  return {
    memory: [['memory.limit_in_bytes', bytes]],
    cpu: [
      ['cpu.cfs_period_us', String(periodUs)],
      ['cpu.cfs_quota_us', String(quotaUs)],
      ['cpu.shares', String(cpuShares)],
    ],
    pids: [['pids.max', String(limits.threads)]],
  }
}

interface Group {
  /** null: the host offers none that this process may use. */
  readonly version: CgroupMounts['version'] | null
  /** What it limits, with the directory. */
  readonly enforced: ReadonlyMap<CgroupController, string>
}

/** What cannot be limited is not: a machine is worth more than its limits, and the doctor says what is missing. */
async function makeGroup(name: string, limits: VmmLimits, scope: Scope): Promise<Group> {
  const mounts = await findCgroupMounts()
  if (!mounts) return { version: null, enforced: new Map() }
  const wanted = settings(mounts, limits)
  const enforced = new Map<CgroupController, string>()
  for (const [controller, parent] of Object.entries(mounts.parents) as [CgroupController, string][]) {
    const directory = join(parent, name)
    try {
      await mkdir(directory, { recursive: true })
      for (const [file, value] of wanted[controller]) await writeFile(join(directory, file), value)
      enforced.set(controller, directory)
    } catch (error) {
      scope.log.debug({ controller, error: String(error) }, 'the host does not limit this for monitors')
    }
  }
  return { version: mounts.version, enforced }
}

/** Puts a process, with all threads that it will start, into a group of its own with these limits, as far as the host has them. */
export async function confine(
  { instance, id }: { readonly instance: string; readonly id: string },
  pid: number,
  limits: VmmLimits,
  scope: Scope,
): Promise<void> {
  const { enforced } = await makeGroup(groupName(instance, id), limits, scope)
  for (const directory of new Set(enforced.values()))
    await writeFile(join(directory, 'cgroup.procs'), String(pid)).catch((error: unknown) => {
      scope.log.debug({ directory, error: String(error) }, 'a monitor is not limited')
    })
}

/** Which of these limits the host enforces for children of this process: seen with a group that stays empty. */
export async function measureCgroup(
  instance: string,
  limits: VmmLimits,
  scope: Scope,
): Promise<{ version: CgroupMounts['version'] | null; enforced: CgroupController[] }> {
  const id = `measured-${process.pid}`
  const { version, enforced } = await makeGroup(groupName(instance, id), limits, scope)
  await release(instance, id, scope)
  return { version, enforced: [...enforced.keys()] }
}

/** Removes the group of a machine whose processes are gone; also when there is none. */
export async function release(instance: string, id: string, scope: Scope): Promise<void> {
  for (const parent of await parents()) {
    const directory = join(parent, groupName(instance, id))
    // Busy for a moment after its last process was seen gone.
    await scope.run({ name: `removal of ${directory}`, deadlineMs: 5_000 }, (inner) =>
      inner.until(() => removed(directory), 5),
    )
  }
}

/** Machines of an instance that have a group on this host. */
export async function confinedMachines(instance: string): Promise<string[]> {
  const prefix = groupName(instance, '')
  const names = await Promise.all((await parents()).map((parent) => readdir(parent).catch(() => [])))
  return [...new Set(names.flat())].flatMap((name) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : []))
}

const parents = async (): Promise<string[]> => [...new Set(Object.values((await findCgroupMounts())?.parents ?? {}))]

async function removed(directory: string): Promise<true | undefined> {
  try {
    await rmdir(directory)
    return true
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return true
    if (systemErrorCode(error) === 'EBUSY') return undefined
    throw error
  }
}
