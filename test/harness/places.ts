import { join, resolve } from 'node:path'

/** The checkout. */
export const root = resolve(import.meta.dirname, '../..')
/** Pictures, logs and findings of the runs; not under version control. */
export const resultsDirectory = join(root, 'test-results')
