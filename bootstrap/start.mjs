import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import { environment, exitCodeOf, node, runMain, SetUpError } from './process.mjs'
import { setUp } from './set-up.mjs'
import { homeOf, root } from './settings.mjs'
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

/** The controller in the foreground: its output, its exit code, and every signal passed on once. */
function runController(args) {
  return new Promise((resolve, reject) => {
    // A process group of its own: Ctrl-C reaches the whole group of the terminal, and npm passes it on besides, so that the
    // controller would see two or three of them.
    const child = spawn(node, ['packages/controller/src/main.ts', ...args], {
      cwd: root,
      env: environment(),
      stdio: 'inherit',
      detached: true,
    })
    const passedOn = new Set()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
      process.on(signal, () => {
        if (passedOn.has(signal)) return
        passedOn.add(signal)
        child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal)
      })
    child.on('error', reject)
    child.on('exit', (code, signal) => resolve(code ?? exitCodeOf(signal)))
  })
}

await runMain(async () => {
  const flags = readFlags()
  const home = homeOf(flags.home)
  await setUp(home, runtimePackages)
  const port = flags.port === undefined ? [] : ['--port', flags.port]
  const hasDesktop = Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY)
  const open = hasDesktop && !flags['no-open'] ? ['--open'] : []
  return await runController(['--home', home, ...port, ...open])
})
