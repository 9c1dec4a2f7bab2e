import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { AppError } from '@anteroom/base'
import { build } from 'esbuild'
import { filesUnder, recipeDirectory } from './recipe.ts'

const checkout = join(import.meta.dirname, '..', '..', '..')

/** Of the bundled guest agent: `agent.mjs`, and what it loads only when it is needed. */
export interface AgentFile {
  readonly name: string
  readonly content: Uint8Array
}

export interface ImageInputs {
  readonly agent: readonly AgentFile[]
  /** Digest of the agent, the recipe and this builder. Not of Debian's packages: they are what the mirror has today. */
  readonly sha256: string
}

/** @throws AppError image_build_failed when the agent cannot be bundled */
export async function readInputs(): Promise<ImageInputs> {
  const agent = await bundleAgent()
  const digest = createHash('sha256')
  for (const { name, content } of agent) digest.update(`${name}\0${content.length}\0`).update(content)
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

async function bundleAgent(): Promise<AgentFile[]> {
  try {
    const { outputFiles } = await build({
      // Paths in the output are relative to this: the same bytes wherever the checkout is.
      absWorkingDir: checkout,
      entryPoints: { agent: 'packages/guest-agent/src/main.ts' },
      outdir: '/',
      outExtension: { '.js': '.mjs' },
      chunkNames: 'agent-[hash]',
      bundle: true,
      // In one file, what is imported only when it is needed would be parsed at each start, and wrapped in a way that keeps
      // unused modules too.
      splitting: true,
      write: false,
      platform: 'node',
      // Debian trixie's.
      target: 'node20',
      format: 'esm',
      charset: 'utf8',
      logLevel: 'silent',
    })
    return outputFiles.map(({ path, contents }) => ({ name: basename(path), content: contents }))
  } catch (error) {
    const detail = `the guest agent could not be bundled: ${error instanceof Error ? error.message : error}`
    throw new AppError('image_build_failed', { detail, cause: error })
  }
}
