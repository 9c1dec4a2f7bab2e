import { writeFile } from 'node:fs/promises'
import { type Scope, systemErrorCode } from '@anteroom/base'

/**
 * What a monitor runs at (nice(2)): a thirtieth of the weight that a process at 0 has. Ten machines that start then leave the controller
 * its turn within milliseconds, and on a host with nothing else to do they have all of it.
 */
export const niceness = 15

/** Where memory is short the kernel ends a machine, and not what serves all of them (proc_pid_oom_score_adj(5); -1000 to 1000). */
export const oomScore = 500

/** The kernel lets a user without privileges change one group in each tenth of a second (kernel/sched/autogroup.c). */
const askAgainMs = 50

/**
 * Lets a monitor's whole session yield. Where the kernel makes a scheduling group of each session (sched(7), autogroup), nice
 * compares processes of one session only, and the session's own value, this one, is what counts against the controller. Where it
 * makes none, `nice` on the command line is all there is to do.
 */
export async function yieldToOthers(pid: number, scope: Scope): Promise<void> {
  // Inherited otherwise: a controller that is to be spared would spare its machines.
  await writeFile(`/proc/${pid}/oom_score_adj`, String(oomScore)).catch((error: unknown) =>
    scope.log.debug({ error: String(error) }, 'a monitor keeps its place where memory is short'),
  )
  await scope.until(async () => {
    try {
      await writeFile(`/proc/${pid}/autogroup`, String(niceness))
      return true
    } catch (error) {
      if (systemErrorCode(error) === 'EAGAIN') return undefined
      // A slower controller is no reason to refuse a machine; a process that is gone is found by who waits for its answer.
      scope.log.debug({ error: String(error) }, 'the session of a monitor keeps its share of the processors')
      return true
    }
  }, askAgainMs)
}
