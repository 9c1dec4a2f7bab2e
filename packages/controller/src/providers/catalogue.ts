import { basename } from 'node:path'
import { AppError, nearest } from '@anteroom/base'
import type { ProviderDefinition, ProviderSummary } from '@anteroom/contract'
import type { DefinitionEntry } from './definition-file.ts'
import type { ReadFile } from './directory-reader.ts'
import { summarise } from './provider-summary.ts'
import type { ProviderProblem } from './providers.ts'

interface Listed {
  readonly definition: ProviderDefinition
  readonly demo: boolean
  /** For the message to whoever uses the name a second time. */
  readonly where: string
}

/** What all files say together, at one moment. Never changes: a reload builds the next one. */
export class Catalogue {
  readonly problems: readonly ProviderProblem[]
  readonly #listed = new Map<string, Listed>()
  /** Why a name that is written in some file cannot be used. */
  readonly #broken = new Map<string, ProviderProblem>()
  readonly #namesByFile = new Map<string, ReadonlySet<string>>()

  constructor(demo: readonly ProviderDefinition[], files: readonly ReadFile[], before?: Catalogue) {
    for (const definition of demo)
      this.#listed.set(definition.name, { definition, demo: true, where: 'the demonstration' })
    this.problems = files.flatMap((file) => file.entries.flatMap((entry) => this.#add(file.path, entry)))
    for (const file of files) this.#remember(file, before ? before.#namesByFile.get(file.path) : undefined)
  }

  get(name: string): ProviderDefinition {
    const listed = this.#listed.get(name)
    if (listed) return listed.definition
    const broken = this.#broken.get(name)
    if (broken) throw new AppError('provider_invalid', { detail: inOneLine(broken) })
    const meant = name.length <= 64 ? nearest(name, [...this.#listed.keys()]) : undefined
    throw new AppError('provider_unknown', {
      detail: `There is no provider of this name${meant ? `; did you mean ${meant}?` : '.'}`,
      fields: [{ pointer: '/provider', message: 'is not configured' }],
    })
  }

  list(): ProviderSummary[] {
    const summaries = [...this.#listed.values()].map(({ definition, demo }) => summarise(definition, demo))
    return summaries.toSorted((a, b) => a.name.localeCompare(b.name))
  }

  /** Gives the problems of the entry. The first who uses a name keeps it: a later file cannot take it over. */
  #add(path: string, { name, line, definition, problems }: DefinitionEntry): ProviderProblem[] {
    const located = problems.map((problem) => ({ file: path, ...problem }))
    if (!definition) {
      if (name !== undefined && located[0] && !this.#broken.has(name)) this.#broken.set(name, located[0])
      return located
    }
    const first = this.#listed.get(definition.name)
    if (first) {
      const message = `is used already by ${first.where}; this definition is left out`
      return [{ file: path, line, field: 'name', message }]
    }
    this.#listed.set(definition.name, { definition, demo: false, where: `${basename(path)}:${line}` })
    return []
  }

  /** In a text that is broken as YAML no name may be readable; then what was there before is what is broken now. */
  #remember({ path, entries }: ReadFile, before: ReadonlySet<string> = new Set()): void {
    const names = new Set(entries.flatMap(({ name }) => name ?? []))
    const nameless = entries.find(({ name, problems }) => name === undefined && problems.length > 0)?.problems[0]
    if (nameless)
      for (const name of before) {
        if (!names.has(name) && !this.#broken.has(name)) this.#broken.set(name, { file: path, ...nameless })
        names.add(name)
      }
    this.#namesByFile.set(path, names)
  }
}

/** For integrators too: the name of the file, not where on the host it is. */
const inOneLine = ({ file, line, field, message }: ProviderProblem): string =>
  `${basename(file)}:${line}: ${field ? `${field} ` : ''}${message}`
