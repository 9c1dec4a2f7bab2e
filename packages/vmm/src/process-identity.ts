import { readFile } from 'node:fs/promises'
import { AppError, type Scope, systemErrorCode } from '@anteroom/base'

/** A pid is used again; pid and start time together are not, as long as the host runs (proc_pid_stat(5)). */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks after the host's boot. */
  readonly startTicks: number
  readonly bootId: string
}

export const bootId = async (): Promise<string> => (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()

/** undefined when there is no such process, or only its exit status is left. */
export async function identityOf(pid: number): Promise<ProcessIdentity | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch((error: unknown) => {
    // ESRCH: it ended between open and read.
    if (['ENOENT', 'ESRCH'].includes(systemErrorCode(error) ?? '')) return undefined
    throw error
  })
  if (stat === undefined) return undefined
  // The second field is the name in parentheses, which may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state, threads, startTicks] = [fields[0], Number(fields[17]), Number(fields[19])]
  // The first thread of a killed process is a zombie while others still hold its files: its tap would be busy.
  if (state === 'X' || (state === 'Z' && threads <= 1)) return undefined
  return { pid, startTicks, bootId: await bootId() }
}

export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  const now = await identityOf(identity.pid)
  return now !== undefined && now.startTicks === identity.startTicks && now.bootId === identity.bootId
}

/** How long a process may take to end by itself. */
const politeMs = 2_000

/** Ends the process and returns when it is verified gone; also when it was gone before. */
export async function end(identity: ProcessIdentity, scope: Scope): Promise<void> {
  if (await signalAndWait(identity, 'SIGTERM', politeMs, scope)) return
  if (await signalAndWait(identity, 'SIGKILL', 10_000, scope)) return
  throw new AppError('deadline_exceeded', { detail: `process ${identity.pid} survived SIGKILL for ten seconds` })
}

async function signalAndWait(
  identity: ProcessIdentity,
  signal: 'SIGTERM' | 'SIGKILL',
  patienceMs: number,
  scope: Scope,
): Promise<boolean> {
  if (!(await isAlive(identity))) return true
  try {
    process.kill(identity.pid, signal)
  } catch (error) {
    if (systemErrorCode(error) !== 'ESRCH') throw error
  }
  const patience = scope.clock.monotonic() + patienceMs
  return await scope.until(async () => {
    if (!(await isAlive(identity))) return true
    return scope.clock.monotonic() > patience ? false : undefined
  }, 5)
}
