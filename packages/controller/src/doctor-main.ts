import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { AppError, acquireLock, Scope } from '@anteroom/base'
import { examine } from './doctor/doctor.ts'
import { loadConfig } from './load-config.ts'
import { createLog } from './observe/observe.ts'
import { openPatient } from './open-patient.ts'
import { runProgram } from './run-program.ts'

/** Examines a state directory on which no controller runs; prints the report as JSON. A controller that runs does it itself. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { home: { type: 'string' }, fix: { type: 'boolean', default: false } } })
  const home = resolve(values.home ?? process.env.ANTEROOM_HOME ?? '.anteroom')
  const scope = Scope.root('doctor', createLog({ level: 'error', pretty: false, destination: process.stderr }))
  await mkdir(join(home, 'run'), { recursive: true, mode: 0o700 })
  const lock = acquireLock(join(home, 'run/lock'))
  const look = async (fix: boolean) => {
    await using patient = await openPatient(loadConfig(home, process.env), scope)
    return await examine(patient, scope, { fix })
  }
  if (!('release' in lock))
    throw new AppError('controller_locked', { detail: `pid ${lock.heldBy ?? 'unknown'} uses ${home}` })
  try {
    let report = await look(values.fix)
    const fixedOf = new Map(report.checks.map(({ name, fixed }) => [name, fixed]))
    // A part that did not open may do so now.
    if (report.checks.some(({ fixed }) => fixed !== null)) {
      const again = await look(false)
      report = { ...again, checks: again.checks.map((check) => ({ ...check, fixed: fixedOf.get(check.name) ?? null })) }
    }
    process.stdout.write(`${JSON.stringify(report)}\n`)
  } finally {
    lock.release()
  }
}

runProgram(main)
