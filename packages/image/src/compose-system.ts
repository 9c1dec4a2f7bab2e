import { access, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, runCommand, type Scope } from '@anteroom/base'
import type { BuildLog } from './build-log.ts'
import type { AgentFile } from './inputs.ts'
import { recipeDirectory, recipeLines, requiredPrograms, suite } from './recipe.ts'
import { runTool } from './run-tool.ts'

/** Time that is written where a file's own would differ from build to build; any fixed one serves. */
const sourceDateEpoch = '1700000000'

export interface ComposedSystem {
  /** The unpacked system. */
  readonly root: string
  /** The kernel's package, not unpacked. */
  readonly kernelDirectory: string
  /** Lines `name version`. */
  readonly packagesFile: string
}

export interface ComposeOptions {
  readonly directory: string
  readonly agent: readonly AgentFile[]
  /** Mirror addresses or sources.list lines for mmdebstrap; none: its default, Debian's own with security updates. */
  readonly mirrors: readonly string[]
}

/**
 * Debian with everything the image needs, as a directory: mmdebstrap fetches with the host's apt, which checks signatures
 * against Debian's archive keyring, and runs the `customize` hook of the recipe.
 * @throws AppError image_build_failed, disk_full
 */
export async function composeSystem(options: ComposeOptions, log: BuildLog, scope: Scope): Promise<ComposedSystem> {
  const { directory } = options
  const root = join(directory, 'root')
  await mkdir(join(directory, 'agent'))
  for (const { name, content } of options.agent) await writeFile(join(directory, 'agent', name), content)
  const excluded = (await recipeLines('excluded-paths')).map((path) => `--dpkgopt=path-exclude=${path}`)
  const command = [
    'mmdebstrap',
    '--variant=essential',
    '--architectures=amd64',
    `--include=${(await recipeLines('packages')).join(',')}`,
    ...excluded,
    // No fsync for each file of a tree that is thrown away when the power fails.
    '--dpkgopt=force-unsafe-io',
    '--aptopt=APT::Install-Recommends "false"',
    '--aptopt=Acquire::Languages "none"',
    ...(await hostProxies(directory, scope)),
    `--customize-hook=${join(recipeDirectory, 'customize')}`,
    suite,
    root,
    ...options.mirrors,
  ] as const
  const env = { RECIPE: recipeDirectory, WORK: directory, SOURCE_DATE_EPOCH: sourceDateEpoch }
  await runTool({ command, directory, env }, log, scope)
  for (const { name, path } of requiredPrograms) {
    await access(join(root, path)).catch((cause: unknown) => {
      throw new AppError('image_build_failed', { detail: `${name} is missing in the image (/${path})`, cause })
    })
  }
  return { root, kernelDirectory: join(directory, 'kernel'), packagesFile: join(directory, 'packages') }
}

/**
 * mmdebstrap does not read the host's apt configuration; a proxy that is set there is the only way out on some hosts. In a
 * file, because a proxy's address can hold a password and command lines are logged.
 */
async function hostProxies(directory: string, scope: Scope): Promise<string[]> {
  const { stdout } = await runCommand(scope, 'apt-config', ['dump'])
  const lines = stdout.split('\n').filter((line) => /^Acquire::(https?|ftp)::Proxy/i.test(line))
  if (lines.length === 0) return []
  const file = join(directory, 'apt-proxies')
  await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 })
  return [`--aptopt=${file}`]
}
