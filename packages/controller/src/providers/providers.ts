import { mkdir } from 'node:fs/promises'
import { AppError, type Clock, type Log, systemClock } from '@anteroom/base'
import type { ProviderDefinition, ProviderSummary } from '@anteroom/contract'
import { Catalogue } from './catalogue.ts'
import { readDirectory } from './directory-reader.ts'
import { watchDirectories } from './directory-watch.ts'

export interface ProviderProblem {
  readonly file: string
  readonly line: number
  /** Such as `egress.allow[0]`; empty when it is the text itself. */
  readonly field: string
  readonly message: string
}

/** Definitions from YAML files, reloaded when they change. A file with a problem does not take the others along. */
export interface Providers {
  /** @throws AppError provider_unknown, provider_invalid (file, line and field in `detail`) */
  get(name: string): ProviderDefinition
  list(): ProviderSummary[]
  problems(): readonly ProviderProblem[]
  close(): void
}

/**
 * Reads every `*.yaml` and `*.yml` of the directories and keeps watching. A directory that is missing is made: only one that
 * exists can be watched for the operator's first definition.
 * @throws AppError config_invalid when a directory can be neither found nor made
 */
export async function openProviders(options: {
  readonly directories: readonly string[]
  readonly demo?: readonly ProviderDefinition[]
  readonly log: Log
  readonly clock?: Clock
}): Promise<Providers> {
  const { directories, demo = [], log, clock = systemClock } = options
  await Promise.all(directories.map(ensureDirectory))
  let catalogue = new Catalogue(demo, [])
  const reload = async (): Promise<void> => {
    const files = (await Promise.all(directories.map(readDirectory))).flat()
    catalogue = new Catalogue(demo, files, catalogue)
    for (const { message, ...where } of catalogue.problems) log.warn(where, `provider definition: ${message}`)
    log.info({ providers: catalogue.list().map(({ name }) => name) }, 'provider definitions were read')
  }
  // Watching before the first reading: what changes in between is read again.
  const stop = watchDirectories(directories, clock, log, reload)
  await reload()
  return {
    get: (name) => catalogue.get(name),
    list: () => catalogue.list(),
    problems: () => catalogue.problems,
    close: stop,
  }
}

async function ensureDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true })
  } catch (cause) {
    throw new AppError('config_invalid', {
      detail: `providers_dir: ${directory} is no directory and cannot be made one.`,
      cause,
    })
  }
}
