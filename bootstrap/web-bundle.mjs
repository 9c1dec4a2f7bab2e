import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { npm } from './dependencies.mjs'
import { SetUpError, say } from './process.mjs'
import { root } from './settings.mjs'

const stamp = join(root, 'packages/web/dist/.sources-sha256')
const sources = ['packages/web', 'packages/contract/src', 'package-lock.json']
const notSources = new Set(['dist', 'node_modules'])

/** Builds the pages when what they are built from has changed. */
export async function ensureWebBundle() {
  const digest = await digestOf(sources.map((source) => join(root, source)))
  if ((await readFile(stamp, 'utf8').catch(() => '')) === digest) return
  say('Building the web pages')
  if ((await npm(['run', '--silent', 'build', '--workspace', 'packages/web', '--', '--logLevel', 'warn'])) !== 0)
    throw new SetUpError('The web pages could not be built; the messages are above.')
  await writeFile(stamp, digest)
}

/** SHA-256 over names and contents, in the order of the names. */
export async function digestOf(paths) {
  const files = (await Promise.all(paths.map(filesBelow))).flat().sort()
  const hash = createHash('sha256')
  for (const file of files) {
    const content = await readFile(file)
    hash.update(`${relative(root, file)}\0${content.length}\0`).update(content)
  }
  return hash.digest('hex')
}

async function filesBelow(path) {
  const entries = await readdir(path, { withFileTypes: true }).catch((error) => {
    if (error.code === 'ENOTDIR') return undefined
    throw error
  })
  if (!entries) return [path]
  const wanted = entries.filter(({ name }) => !notSources.has(name))
  return (await Promise.all(wanted.map(({ name }) => filesBelow(join(path, name))))).flat()
}
