import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { acquireLock, type LockFile, Scope } from '@anteroom/base'
import { confinedMachines, end, findVmms, release } from '@anteroom/vmm'
import { instanceTag, openSlots, removeFirewall } from './host/host.ts'
import { loadConfig } from './load-config.ts'
import { runProgram } from './run-program.ts'

/**
 * Ends everything that belongs to a state directory: its controller, the machines that outlive it, their network slots. The
 * directory itself stays; `npm run clean` removes it afterwards.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { home: { type: 'string' } } })
  const home = resolve(values.home ?? process.env.ANTEROOM_HOME ?? '.anteroom')
  const scope = Scope.root('clean')
  // Held until the end, so that no controller starts meanwhile.
  const lock = await endController(home, scope)
  try {
    for (const { id, identity } of await findVmms(instanceTag(home))) {
      console.log(`• Ending machine ${id}`)
      await end(identity, scope)
    }
    for (const id of await confinedMachines(instanceTag(home))) await release(instanceTag(home), id, scope)
    const slots = await openSlots(loadConfig(home, process.env), scope)
    for (const index of await slots.list(scope)) {
      console.log(`• Removing network slot ${index}`)
      await slots.remove(slots.at(index), scope)
    }
    await removeFirewall(instanceTag(home), scope)
  } finally {
    lock.release()
  }
}

/** Whoever holds the lock is the controller, whatever became of the pid that a file names. */
async function endController(home: string, scope: Scope): Promise<LockFile> {
  const run = join(home, 'run')
  await mkdir(run, { recursive: true, mode: 0o700 })
  let asked: number | undefined
  return await scope.run({ name: 'end of the controller', deadlineMs: 60_000 }, (inner) =>
    inner.until(() => {
      const lock = acquireLock(join(run, 'lock'))
      if ('release' in lock) return lock
      if (lock.heldBy === undefined || lock.heldBy === asked) return undefined
      asked = lock.heldBy
      console.log(`• Ending the controller (pid ${asked})`)
      process.kill(asked, 'SIGTERM')
      return undefined
    }, 100),
  )
}

runProgram(main)
