import { type Check, ok, warning } from '../check.ts'

const words = { memory: 'memory', cpu: 'processors', pids: 'threads' } as const

const remedy =
  'Run the controller as root, on a host whose /sys/fs/cgroup it may write to (in a container: one of its own, or the host’s). Until then a guest that took its monitor over is held by less.'

/** What holds a monitor that a guest took over, besides its sandbox? */
export const vmmLimits: Check = {
  name: 'vmm_limits',
  async examine({ measureWalls }, scope) {
    const { ownUser, cgroupVersion, limited, limits } = await measureWalls(scope)
    const unlimited = (Object.keys(words) as (keyof typeof words)[]).filter((name) => {
      // With a user of its own the kernel counts its threads for it.
      return !limited.includes(name) && !(name === 'pids' && ownUser)
    })
    const lacks = [
      ...(ownUser ? [] : ['monitors run as the controller’s user, and see its files']),
      ...(unlimited.length === 0
        ? []
        : [`${unlimited.map((name) => words[name]).join(' and ')} of a monitor are not limited`]),
    ]
    if (lacks.length > 0) return warning(lacks.join('; '), remedy)
    return ok(
      `each monitor has a user of its own, sees no files but its machine’s, and gets at most ${limits.memoryMiB} MiB, ${limits.processors} processors and ${limits.threads} threads (cgroup v${cgroupVersion})`,
    )
  },
}
