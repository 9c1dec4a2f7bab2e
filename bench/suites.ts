import type { Suite } from './report.ts'
import { churnSuite } from './suites/churn.ts'
import { firstFrameSuite } from './suites/first-frame.ts'
import { gatewaySuite } from './suites/gateway.ts'
import { imageSuite } from './suites/image.ts'
import { keyToPixelsSuite } from './suites/key-to-pixels.ts'
import { loopDelaySuite } from './suites/loop-delay.ts'
import { machinesSuite } from './suites/machines.ts'
import { storeSuite } from './suites/store.ts'

/** Every suite, in the order in which they run. */
export const suites: readonly Suite[] = [
  storeSuite,
  gatewaySuite,
  firstFrameSuite,
  keyToPixelsSuite,
  machinesSuite,
  churnSuite,
  loopDelaySuite,
  imageSuite,
]
