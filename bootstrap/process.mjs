import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { delimiter, join } from 'node:path'
import { root } from './settings.mjs'

/** Something that the person at the terminal can act on: printed as it is, without a stack. */
export class SetUpError extends Error {}

/** Node 24 as npm delivered it. This script itself may run on an older one. */
export const node = join(root, 'node_modules/.bin/node')

/** Programs that are started find Node 24 and the tools of the checkout first. */
export const environment = () => ({
  ...process.env,
  PATH: [join(root, 'node_modules/.bin'), process.env.PATH, '/usr/sbin', '/sbin'].join(delimiter),
})

/**
 * Runs a program in the foreground to its end; gives its exit code.
 * @param {string} file
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<number>}
 */
export const run = (file, args, options = {}) =>
  new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: root, env: environment(), stdio: 'inherit', ...options })
    child.on('error', reject)
    child.on('exit', (code, signal) => resolve(code ?? exitCodeOf(signal)))
  })

/** As a shell says it: 128 and the number of the signal. */
export const exitCodeOf = (signal) => 128 + (constants.signals[signal] ?? 0)

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
