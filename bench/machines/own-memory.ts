import { readFile } from 'node:fs/promises'

/**
 * What only this process has and wrote (proc_pid_smaps(5)). Pages of a file that nobody else maps at the moment are private as well,
 * but clean: the kernel can drop them, and the next machine shares them.
 */
export async function ownBytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
  return 1024 * Number(/^Private_Dirty: +(\d+)/m.exec(text)?.[1])
}
