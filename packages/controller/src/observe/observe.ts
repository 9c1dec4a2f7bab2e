/** What the process says of itself: one log, and the numbers of `GET /metrics`. */
export { createLog, type LogOptions } from './log.ts'
export { createMetrics, type Metrics } from './metrics.ts'
