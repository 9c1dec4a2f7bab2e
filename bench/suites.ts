import type { Suite } from './report.ts'
import { firstFrameSuite } from './suites/first-frame.ts'
import { gatewaySuite } from './suites/gateway.ts'
import { keyToPixelsSuite } from './suites/key-to-pixels.ts'
import { storeSuite } from './suites/store.ts'

/** Every suite, in the order in which they run. */
export const suites: readonly Suite[] = [storeSuite, firstFrameSuite, keyToPixelsSuite, gatewaySuite]
