import { closeSync, openSync, writeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { systemErrorCode } from '@anteroom/base'

/**
 * What tells the random generators of a browser's process that they have a twin. BoringSSL seeds them from the kernel and then goes
 * on by itself; it learns of a fork by a page that the kernel empties in the child (MADV_WIPEONFORK in madvise(2); crypto/rand/
 * fork_detect.cc). A restored machine is a fork that nobody announced. With the page emptied from outside, every generator of the
 * process takes new bytes from the kernel before it gives any.
 */
export class ForkDetector {
  readonly pid: number
  readonly #address: number

  private constructor(pid: number, address: number) {
    this.pid = pid
    this.#address = address
  }

  /** undefined for a process that is gone, or where there is not exactly one. */
  static async find(pid: number, proc = '/proc'): Promise<ForkDetector | undefined> {
    const smaps = await readFile(`${proc}/${pid}/smaps`, 'latin1').catch(() => '')
    const [address, another] = wipedOnFork(smaps)
    return address === undefined || another !== undefined ? undefined : new ForkDetector(pid, address)
  }

  /** Synchronous: handing three calls of microseconds to other threads takes longer than making them. */
  trip(): void {
    try {
      const memory = openSync(`/proc/${this.pid}/mem`, 'r+')
      try {
        writeSync(memory, Buffer.of(0), 0, 1, this.#address)
      } finally {
        closeSync(memory)
      }
    } catch (error) {
      // It has ended, and what comes in its place starts with new bytes.
      if (systemErrorCode(error) !== 'ENOENT') throw error
    }
  }
}

/**
 * Addresses of the pages with the flags `wf` (wipe on fork) and not `dp` (droppable; these belong to glibc's getrandom, which the
 * kernel itself renews). See proc_pid_smaps(5); each entry begins with its range of addresses and ends with its flags.
 */
export function wipedOnFork(smaps: string): number[] {
  const entries = smaps.matchAll(/^([0-9a-f]+)-[0-9a-f]+ [\s\S]*?^VmFlags: (.*)$/gm)
  return [...entries].flatMap(([, address = '', flags = '']) => {
    const set = flags.trim().split(' ')
    return set.includes('wf') && !set.includes('dp') ? [Number.parseInt(address, 16)] : []
  })
}
