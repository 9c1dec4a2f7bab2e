import type { Suite } from './report.ts'

/** Every suite, in the order in which they run. */
export const suites: readonly Suite[] = []
