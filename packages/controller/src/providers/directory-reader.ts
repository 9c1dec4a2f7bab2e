import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemErrorCode } from '@anteroom/base'
import { type DefinitionEntry, parseDefinitions } from './definition-file.ts'

export interface ReadFile {
  readonly path: string
  readonly entries: readonly DefinitionEntry[]
}

/** The definition files of the directory, in the order of their names; what lies in folders below it is not read. */
export async function readDirectory(directory: string): Promise<ReadFile[]> {
  try {
    const names = (await readdir(directory)).filter((name) => /^[^.].*\.ya?ml$/.test(name)).toSorted()
    const files = await Promise.all(names.map((name) => readOne(join(directory, name))))
    return files.filter((file) => file !== undefined)
  } catch (error) {
    return [unreadable(directory, error)]
  }
}

async function readOne(path: string): Promise<ReadFile | undefined> {
  try {
    const bytes = await readFile(path)
    return { path, entries: parseDefinitions(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) }
  } catch (error) {
    // Deleted between listing and reading.
    return systemErrorCode(error) === 'ENOENT' ? undefined : unreadable(path, error)
  }
}

const unreadable = (path: string, error: unknown): ReadFile => ({
  path,
  entries: [
    {
      name: undefined,
      line: 1,
      definition: undefined,
      problems: [{ line: 1, field: '', message: `cannot be read (${systemErrorCode(error) ?? 'not UTF-8 text'})` }],
    },
  ],
})
