import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock } from '@anteroom/base'
import { startController } from './controller.ts'
import { loadConfig } from './load-config.ts'
import { createLog, logDirectory, openLogFiles } from './observe/observe.ts'
import { runProgram } from './run-program.ts'

/** Starts the controller in the foreground; SIGINT and SIGTERM end it, and leave its machines running. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { home: { type: 'string' }, port: { type: 'string' }, open: { type: 'boolean', default: false } },
  })
  const home = resolve(values.home ?? process.env.ANTEROOM_HOME ?? '.anteroom')
  const config = loadConfig(
    home,
    process.env,
    values.port === undefined ? {} : { listen: { port: Number(values.port) } },
  )
  const files = openLogFiles({ directory: logDirectory(home), limits: config.log, clock: systemClock })
  const log = createLog({ level: config.log_level, pretty: process.stdout.isTTY, files })
  // On a full disk, or to a terminal that is gone: nothing that is said is worth ending for.
  process.stdout.on('error', () => {})
  process.on('uncaughtExceptionMonitor', (error) =>
    log.error({ error }, 'the controller ends: nobody handled an error'),
  )

  const asked = Promise.withResolvers<NodeJS.Signals>()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, asked.resolve)
  const controller = await startController(config, log)
  process.stdout.write(`Anteroom is at ${controller.url}. Sign in once with ${controller.signInUrl}\n`)
  // Without a program that opens links the person follows the printed one.
  if (values.open) execFile('xdg-open', [controller.signInUrl], () => {})

  const signal = await asked.promise
  log.info({ signal }, 'stopping; machines keep running')
  await controller.stop()
}

runProgram(main)
