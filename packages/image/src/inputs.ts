import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '@anteroom/base'
import { build } from 'esbuild'
import { filesUnder, recipeDirectory } from './recipe.ts'

const checkout = join(import.meta.dirname, '..', '..', '..')

export interface ImageInputs {
  /** The guest agent as one file. */
  readonly agent: Uint8Array
  /** Digest of the agent, the recipe and this builder. Not of Debian's packages: they are what the mirror has today. */
  readonly sha256: string
}

/** @throws AppError image_build_failed when the agent cannot be bundled */
export async function readInputs(): Promise<ImageInputs> {
  const agent = await bundleAgent()
  const digest = createHash('sha256').update(agent)
  for (const directory of [recipeDirectory, import.meta.dirname]) {
    for (const name of await filesUnder(directory)) {
      if (name.endsWith('test.ts')) continue
      const path = join(directory, name)
      const executable = ((await stat(path)).mode & 0o100) !== 0
      const content = await readFile(path)
      digest.update(`\0${name}\0${executable}\0${content.length}\0`).update(content)
    }
  }
  return { agent, sha256: digest.digest('hex') }
}

async function bundleAgent(): Promise<Uint8Array> {
  try {
    const { outputFiles } = await build({
      // Paths in the output are relative to this: the same bytes wherever the checkout is.
      absWorkingDir: checkout,
      entryPoints: ['packages/guest-agent/src/main.ts'],
      bundle: true,
      write: false,
      platform: 'node',
      // Debian trixie's.
      target: 'node20',
      format: 'esm',
      charset: 'utf8',
      logLevel: 'silent',
    })
    const [file] = outputFiles
    if (file) return file.contents
    throw new Error('esbuild wrote nothing')
  } catch (error) {
    const detail = `the guest agent could not be bundled: ${error instanceof Error ? error.message : error}`
    throw new AppError('image_build_failed', { detail, cause: error })
  }
}
