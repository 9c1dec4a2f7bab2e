import { parseArgs } from 'node:util'
import { node, run, runMain, SetUpError } from './process.mjs'
import { setUp } from './set-up.mjs'
import { homeOf } from './settings.mjs'
import { runtimePackages } from './system-packages.mjs'

const usage = 'npm start -- [--port N] [--home DIR] [--no-open]'

function readFlags() {
  try {
    const options = { port: { type: 'string' }, home: { type: 'string' }, 'no-open': { type: 'boolean' } }
    return parseArgs({ options }).values
  } catch (error) {
    throw new SetUpError(`${error.message}\nUsage: ${usage}`)
  }
}

await runMain(async () => {
  const flags = readFlags()
  const home = homeOf(flags.home)
  await setUp(home, runtimePackages)
  const port = flags.port === undefined ? [] : ['--port', flags.port]
  const hasDesktop = Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY)
  const open = hasDesktop && !flags['no-open'] ? ['--open'] : []
  return await run(node, ['packages/controller/src/main.ts', '--home', home, ...port, ...open])
})
