import { AppError, type Scope } from '@anteroom/base'
import type { MachineDriver } from '../machines/driver.ts'
import { lastWords } from '../machines/machines.ts'

/** Why a machine that ran is not there any more. A kernel panic ends the monitor too (`panic=-1`, `-no-reboot`). */
export async function deathOf(driver: MachineDriver, id: string): Promise<AppError> {
  const evidence = await driver.evidence(id)
  // What follows it, registers and a call trace, is longer than what is shown of the end.
  const panic = /Kernel panic.*/.exec(evidence.console)?.[0]
  const said = lastWords(evidence)
  if (panic === undefined) return new AppError('vmm_exited', { detail: said })
  return new AppError('boot_failed', { detail: `${panic.trimEnd()}\n${said}` })
}

export const isDeadline = (error: unknown): boolean => error instanceof AppError && error.code === 'deadline_exceeded'

/** The deadline of the boot has passed while the machine ran: how far did it come? The markers are printed by its init. */
export async function whyNotBooted(error: unknown, driver: MachineDriver, id: string): Promise<unknown> {
  if (!isDeadline(error)) return error
  const evidence = await driver.evidence(id)
  const reachedUserSpace = evidence.console.includes('anteroom: user space')
  return new AppError(reachedUserSpace ? 'agent_unreachable' : 'boot_timeout', {
    detail: lastWords(evidence),
    cause: error,
  })
}

/** Does `work`, but rejects as soon as the machine has died, whatever `work` is waiting for. */
export async function watchMachine<T>(
  driver: MachineDriver,
  id: string,
  scope: Scope,
  work: (scope: Scope) => Promise<T>,
): Promise<T> {
  return await scope.run({ name: 'watch the machine' }, async (inner) => {
    const death = inner.until(async () => {
      const state = await driver.inspect(id, inner)
      return state === 'absent' ? await deathOf(driver, id) : undefined
    }, 250)
    // Whoever was talking to a machine that dies hears of it first, as a connection that broke: its death is the reason.
    const blamed = work(inner).catch(async (error: unknown) => {
      inner.throwIfOver()
      const state = await driver.inspect(id, inner).catch(() => 'unknown' as const)
      throw state === 'absent' ? await deathOf(driver, id) : error
    })
    return await Promise.race([blamed, death.then((error) => Promise.reject(error))])
  })
}
