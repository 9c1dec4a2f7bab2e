/** npm run build: plain JavaScript with types, a package of its own in dist (or where the argument says). */
import { execFile } from 'node:child_process'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const here = import.meta.dirname
const target = resolve(process.argv[2] ?? join(here, 'dist'))
const tsc = join(here, '../../node_modules/typescript/bin/tsc')
await promisify(execFile)(process.execPath, [tsc, '-p', join(here, 'tsconfig.build.json'), '--outDir', target])

const { name, version, license, type, dependencies, sideEffects } = JSON.parse(
  await readFile(join(here, 'package.json')),
)
const exports = { '.': { types: './sdk.d.ts', default: './sdk.js' } }
const made = { name, version, license, type, engines: { node: '>=20.3' }, exports, sideEffects, dependencies }
await mkdir(target, { recursive: true })
await writeFile(join(target, 'package.json'), `${JSON.stringify(made, null, 2)}\n`)
await copyFile(join(here, 'README.md'), join(target, 'README.md'))
