import { readFile } from 'node:fs/promises'
import { AppError, type Scope, systemErrorCode } from '@anteroom/base'
import { listProcesses, treeOf } from '../processes.ts'
import { untilQuiet } from '../quiet.ts'
import { ForkDetector } from './fork-detector.ts'

/** What a browser that is saved with its machine would share with its copies. See docs/adr/0004-what-a-clone-renews.md. */
export class BrowserRenewal {
  readonly #browserPid: () => number | undefined
  /** Of the browser that stands still. */
  #detectors: readonly ForkDetector[] = []

  constructor(browserPid: () => number | undefined) {
    this.#browserPid = browserPid
  }

  /** Ends the processes for pages to come: each holds random state of scripts, made when it started. */
  async endSpareRenderers(scope: Scope): Promise<void> {
    for (;;) {
      const [first, second] = (await this.#processes()).filter(({ type }) => type === 'renderer')
      if (first === undefined || second === undefined) return
      // Nobody says which of them shows the page. Was it this one, then the page is loaded again, in one that is new.
      signal(first.pid, 'SIGKILL')
      scope.log.info({ pid: first.pid }, 'a process for pages was ended')
      await untilQuiet(scope)
    }
  }

  /**
   * Nothing runs in the browser from here on until it is renewed, so that what it does then begins with a renewed state.
   * @throws AppError internal for a browser whose random generators are not as they are known to be
   */
  async freeze(scope: Scope): Promise<void> {
    // The first one starts all others: with it standing still there will be no more of them.
    const root = this.#browserPid()
    if (root !== undefined) signal(root, 'SIGSTOP')
    const processes = await this.#processes()
    for (const { pid } of processes) signal(pid, 'SIGSTOP')
    const found = await Promise.all(processes.map(({ pid }) => ForkDetector.find(pid)))
    const without = processes.filter((_, index) => found[index] === undefined)
    if (processes.length === 0 || without.length > 0) {
      for (const { pid } of processes) signal(pid, 'SIGCONT')
      const names = without.map(({ pid, type }) => `${type} ${pid}`).join(', ') || 'no browser'
      throw new AppError('internal', { detail: `its random generators could not be renewed: ${names}` })
    }
    this.#detectors = found.filter((detector) => detector !== undefined)
    scope.log.info({ processes: processes.length }, 'the browser stands still')
  }

  /** After the kernel's random generator was renewed. Does nothing for a browser that was not frozen: no other one is like it. */
  renew(): void {
    const detectors = this.#detectors
    this.#detectors = []
    for (const detector of detectors) detector.trip()
    for (const { pid } of detectors.toReversed()) signal(pid, 'SIGCONT')
  }

  async #processes(): Promise<{ pid: number; type: string }[]> {
    const root = this.#browserPid()
    const tree = root === undefined ? [] : treeOf(root, await listProcesses())
    return await Promise.all(tree.map(async ({ pid }) => ({ pid, type: await typeOf(pid) })))
  }
}

/** `renderer`, `utility` and so on; `browser` for the first of them. Arguments are ended by zeros or, in a fork, by spaces. */
async function typeOf(pid: number): Promise<string> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return /[\0 ]--type=([\w-]+)/.exec(commandLine)?.[1] ?? 'browser'
}

function signal(pid: number, name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    // It has ended by itself.
    if (systemErrorCode(error) !== 'ESRCH') throw error
  }
}
