import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureDependencies } from './dependencies.mjs'
import { checkPlatform } from './platform.mjs'
import { node, run, SetUpError } from './process.mjs'
import { ensurePackages } from './system-packages.mjs'
import { ensureWebBundle } from './web-bundle.mjs'

/** What `npm run clean` needs to know; also the mark that the directory is a state directory. */
const recordOf = (home) => join(home, 'set-up.json')

/** @returns {Promise<{ packages: string[] } | undefined>} the packages that set-up installed; undefined where it never ran */
export const readRecord = (home) =>
  readFile(recordOf(home), 'utf8').then(
    (text) => JSON.parse(text),
    () => undefined,
  )

/** Makes ready what is missing: system packages, Node 24 and libraries, web pages, golden image. Seconds when nothing is. */
export async function setUp(home, packages) {
  await ensureTools(home, packages)
  await ensureWebBundle()
  await ensureImage(home)
}

/** System packages, Node 24 and libraries. */
export async function ensureTools(home, packages) {
  const platform = await checkPlatform()
  await mkdir(home, { recursive: true, mode: 0o700 })
  const known = (await readRecord(home))?.packages ?? []
  const added = await ensurePackages(packages, platform)
  await writeFile(recordOf(home), `${JSON.stringify({ packages: [...new Set([...known, ...added])] }, null, 2)}\n`)
  await ensureDependencies()
}

/** The builder skips what is built already, and draws its own progress bar. */
export async function ensureImage(home, flags = []) {
  if ((await run(node, ['packages/image/src/build.ts', '--home', home, ...flags])) !== 0)
    throw new SetUpError('The golden image could not be built; the messages are above.')
}
