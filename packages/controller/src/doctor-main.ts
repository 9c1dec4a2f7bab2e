import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Scope } from '@anteroom/base'
import { examine } from './doctor/doctor.ts'
import { loadConfig } from './load-config.ts'
import { lockHome } from './lock-home.ts'
import { createLog } from './observe/observe.ts'
import { openPatient } from './open-patient.ts'
import { runProgram } from './run-program.ts'

/** Examines a state directory on which no controller runs; prints the report as JSON. A controller that runs does it itself. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { home: { type: 'string' }, fix: { type: 'boolean', default: false } } })
  const home = resolve(values.home ?? process.env.ANTEROOM_HOME ?? '.anteroom')
  const scope = Scope.root('doctor', createLog({ level: 'error', pretty: false, destination: process.stderr }))
  const lock = await lockHome(home)
  const look = async (fix: boolean) => {
    await using patient = await openPatient(loadConfig(home, process.env), scope)
    return await examine(patient, scope, { fix })
  }
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
