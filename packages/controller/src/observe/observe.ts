/** What the process says of itself: one log, which is kept for a while, and the numbers of `GET /metrics`. */
export { createLog, type LogOptions } from './log.ts'
export { logDirectory, logFileNames, openLogFiles, overdueLogFiles } from './log-files.ts'
export { type LogRecord, readLogOf } from './log-records.ts'
export { createMetrics, type Metrics } from './metrics.ts'
