import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { node, run, SetUpError, say } from './process.mjs'
import { root } from './settings.mjs'

/** Brings node_modules to what the lock file says, Node 24 included, unless it is there already. */
export async function ensureDependencies() {
  const [wanted, present] = await Promise.all([
    readLock('package-lock.json'),
    readLock('node_modules/.package-lock.json'),
  ])
  if (wanted && present && satisfies(present, wanted) && (await runs(node))) return
  say('Installing Node 24 and libraries')
  const flags = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const code = await npm(flags)
  if (code !== 0) throw new SetUpError('npm ci failed; its messages are above.')
  if (!(await runs(node))) throw new SetUpError(`${node} does not run; is this system's C library older than 2.28?`)
}

/** The npm that started this script, or the one in PATH. @returns {Promise<number>} */
export function npm(args) {
  const script = process.env.npm_execpath
  return script ? run(process.execPath, [script, ...args]) : run('npm', args)
}

const runs = (program) =>
  run(program, ['--version'], { stdio: 'ignore' }).then(
    (code) => code === 0,
    () => false,
  )

const readLock = (path) =>
  readFile(join(root, path), 'utf8').then(
    (text) => JSON.parse(text).packages,
    () => undefined,
  )

/**
 * npm leaves in node_modules the part of the lock that it installed. Optional packages may be for other systems. The links are
 * the workspaces: they have no version, but a new one must be there.
 */
export const satisfies = (present, wanted) =>
  Object.entries(wanted).every(
    ([path, { version, optional, link }]) =>
      !path.startsWith('node_modules/') ||
      optional ||
      (link ? present[path]?.link === true : present[path]?.version === version),
  )
