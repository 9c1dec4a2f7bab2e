import { access, constants, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export const cgroupControllers = ['memory', 'cpu', 'pids'] as const
export type CgroupController = (typeof cgroupControllers)[number]

/** Where groups of this process can be made, by what they limit (cgroups(7)). */
export interface CgroupMounts {
  readonly version: 1 | 2
  readonly parents: Partial<Record<CgroupController, string>>
}

interface Mount {
  readonly root: string
  readonly point: string
  readonly type: string
  readonly options: readonly string[]
}

/** undefined where there is neither of both that this process may write to. */
export async function findCgroupMounts(): Promise<CgroupMounts | undefined> {
  const mounts = await readMounts()
  const found = (await ofVersion2(mounts)) ?? (await ofVersion1(mounts))
  return found && Object.keys(found.parents).length > 0 ? found : undefined
}

/** proc_pid_mountinfo(5): optional fields end with a dash. */
async function readMounts(): Promise<Mount[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8')
  return text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ')
    const [, , , root, point] = before.split(' ')
    const [type, , options = ''] = after.split(' ')
    return root && point && type ? [{ root, point, type, options: options.split(',') }] : []
  })
}

/**
 * Groups beside the services of the host, as those of containers, and not below this process's own group: a group of version 2 that
 * holds processes can have none below it with limits.
 */
async function ofVersion2(mounts: readonly Mount[]): Promise<CgroupMounts | undefined> {
  for (const { point, type } of mounts) {
    if (type !== 'cgroup2') continue
    const offered = (await read(join(point, 'cgroup.controllers'))).split(/\s+/)
    const wanted = cgroupControllers.filter((name) => offered.includes(name))
    const parents: CgroupMounts['parents'] = {}
    for (const name of wanted) if (await isEnabledBelow(point, name)) parents[name] = point
    if (Object.keys(parents).length > 0) return { version: 2, parents }
  }
  return undefined
}

async function isEnabledBelow(point: string, controller: CgroupController): Promise<boolean> {
  const file = join(point, 'cgroup.subtree_control')
  if (!(await isWritable(point))) return false
  const enabled = (await read(file)).split(/\s+/)
  if (enabled.includes(controller)) return true
  return await writeFile(file, `+${controller}`).then(
    () => true,
    () => false,
  )
}

/** Below this process's own group, so that a limit of the whole service holds for its machines too. */
async function ofVersion1(mounts: readonly Mount[]): Promise<CgroupMounts> {
  const parents: CgroupMounts['parents'] = {}
  const own = await ownGroups()
  for (const name of cgroupControllers) {
    const mount = mounts.find(({ type, options }) => type === 'cgroup' && options.includes(name))
    if (!mount) continue
    const path = own.get(name) ?? '/'
    // In a container the mount is this very group, and the path is that of the host.
    const below = mount.root === '/' ? path : path.startsWith(mount.root) ? path.slice(mount.root.length) : ''
    const parent = join(mount.point, below)
    if (await isWritable(parent)) parents[name] = parent
  }
  return { version: 1, parents }
}

async function ownGroups(): Promise<Map<string, string>> {
  const lines = (await readFile('/proc/self/cgroup', 'utf8')).trim().split('\n')
  return new Map(
    lines.flatMap((line) => {
      const [, controllers = '', path = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
      return controllers.split(',').map((name) => [name, path] as const)
    }),
  )
}

const read = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '')
const isWritable = (path: string): Promise<boolean> =>
  access(path, constants.W_OK).then(
    () => true,
    () => false,
  )
