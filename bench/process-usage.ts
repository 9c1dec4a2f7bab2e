import { readdir, readFile } from 'node:fs/promises'

/** USER_HZ: what proc(5) counts CPU time in, on every architecture that Node runs on. */
const ticksPerSecond = 100

/** Those processes and everything that descends from them. */
export async function descendants(roots: readonly number[]): Promise<number[]> {
  const parents = new Map<number, number>()
  for (const name of await readdir('/proc')) {
    const fields = /^\d+$/.test(name) ? await statOf(Number(name)) : undefined
    if (fields) parents.set(Number(name), Number(fields[1]))
  }
  const found = new Set(roots)
  for (let before = 0; before !== found.size; ) {
    before = found.size
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid)
  }
  return [...found]
}

/** CPU time that the processes have used so far, in user and kernel mode, all threads. One that is gone counts as nothing. */
export async function cpuMs(pids: readonly number[]): Promise<number> {
  const all = await Promise.all(pids.map(statOf))
  return all.reduce((sum, fields) => sum + ticks(fields) * (1000 / ticksPerSecond), 0)
}

const ticks = (fields: readonly string[] | undefined): number => Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0)

/** Fields of /proc/<pid>/stat from the state on; before it is a name that may hold anything. */
async function statOf(pid: number): Promise<readonly string[] | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')
}

/** Proportional set size: what the processes have for themselves, and their share of what they have together with others. */
export async function pssBytes(pids: readonly number[]): Promise<number> {
  const rollups = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')))
  return rollups.reduce((sum, text) => sum + 1024 * Number(/^Pss: +(\d+)/m.exec(text)?.[1] ?? 0), 0)
}
