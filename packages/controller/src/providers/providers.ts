import type { ProviderDefinition, ProviderSummary } from '@anteroom/contract'

export interface ProviderProblem {
  readonly file: string
  readonly line: number
  readonly field: string
  readonly message: string
}

/** Definitions from YAML files, reloaded when they change. A file with a problem does not take the others along. */
export interface Providers {
  /** @throws AppError provider_unknown, provider_invalid (file, line and field in `detail`) */
  get(name: string): ProviderDefinition
  list(): ProviderSummary[]
  problems(): ProviderProblem[]
  close(): void
}
