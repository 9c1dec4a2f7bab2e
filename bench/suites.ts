import type { Suite } from './report.ts'
import { storeSuite } from './suites/store.ts'

/** Every suite, in the order in which they run. */
export const suites: readonly Suite[] = [storeSuite]
