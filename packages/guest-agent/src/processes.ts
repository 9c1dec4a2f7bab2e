import { readdir, readFile } from 'node:fs/promises'

/** A program of the machine, as /proc shows it: proc_pid_stat(5). */
export interface RunningProcess {
  readonly pid: number
  readonly parent: number
  /** Ticks of a processor that it has used. */
  readonly ticks: number
}

export async function listProcesses(proc = '/proc'): Promise<RunningProcess[]> {
  const pids = (await readdir(proc)).filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(pids.map((pid) => readProcess(proc, Number(pid))))
  return found.filter((process) => process !== undefined)
}

/** All that it started, and they, and it: what is in its tree now. */
export function treeOf(root: number, processes: readonly RunningProcess[]): RunningProcess[] {
  const tree = processes.filter(({ pid }) => pid === root)
  for (const { pid: parent } of tree) tree.push(...processes.filter((process) => process.parent === parent))
  return tree
}

async function readProcess(proc: string, pid: number): Promise<RunningProcess | undefined> {
  const stat = await readFile(`${proc}/${pid}/stat`, 'utf8').catch(() => undefined)
  if (stat === undefined) return undefined
  // The name, in parentheses, may hold anything. Fields are counted from the one behind it, the state.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { pid, parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) }
}
