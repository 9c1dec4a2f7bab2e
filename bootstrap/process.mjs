import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { delimiter, join } from 'node:path'
import { root } from './settings.mjs'

/** Something that the person at the terminal can act on: printed as it is, without a stack. */
export class SetUpError extends Error {}

/** Node 24 as npm delivered it. This script itself may run on an older one. */
export const node = join(root, 'node_modules/.bin/node')

/**
 * Programs that are started find Node 24 and the tools of the checkout first. What Node has compiled once is kept: a controller
 * is there half a second sooner, after each restart too.
 */
export const environment = () => ({
  NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/node'),
  ...process.env,
  PATH: [join(root, 'node_modules/.bin'), process.env.PATH, '/usr/sbin', '/sbin'].join(delimiter),
})

/**
 * Runs a program in the foreground to its end; gives its exit code. Signals are passed on, each once: Ctrl-C reaches the whole
 * process group of the terminal and npm passes it on besides, so that a program in that group would see it two or three times,
 * and most take the second for "at once, without cleaning up". Hence a session of its own (setsid(2)).
 * @param {string} file
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<number>}
 */
export const run = (file, args, options = {}) =>
  new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: root, env: environment(), stdio: 'inherit', detached: true, ...options })
    const stopPassing = passSignals(child)
    child.on('error', (error) => {
      stopPassing()
      reject(error)
    })
    child.on('exit', (code, signal) => {
      stopPassing()
      resolve(code ?? exitCodeOf(signal))
    })
  })

/** Gives what ends it. */
function passSignals(child) {
  const passed = new Set()
  const pass = (signal) => {
    if (passed.has(signal)) return
    passed.add(signal)
    child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, pass)
  return () => {
    for (const signal of signals) process.off(signal, pass)
  }
}

/** As a shell says it: 128 and the number of the signal. */
const exitCodeOf = (signal) => 128 + (constants.signals[signal] ?? 0)

/**
 * What a program prints, and how it ended; 127 where it is not there.
 * @returns {Promise<{ code: number, stdout: string }>}
 */
export const capture = (file, args) =>
  new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: root, env: environment(), stdio: ['ignore', 'pipe', 'ignore'] })
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text
    })
    child.on('error', (error) => (error.code === 'ENOENT' ? resolve({ code: 127, stdout }) : reject(error)))
    child.on('close', (code) => resolve({ code: code ?? 1, stdout }))
  })

/** Prints what is being done. */
export const say = (text) => console.log(`• ${text}`)

/** Runs `main`, and turns its end into the exit code of this process. */
export async function runMain(main) {
  try {
    process.exitCode = await main()
  } catch (error) {
    console.error(error instanceof SetUpError ? error.message : error)
    process.exitCode = 1
  }
}
