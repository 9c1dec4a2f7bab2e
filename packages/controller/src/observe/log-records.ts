import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseJson } from '@anteroom/base'
import { z } from 'zod'
import { logFileNames } from './log-files.ts'

/** A line of the kept log. */
const logRecord = z.looseObject({
  time: z.iso.datetime(),
  level: z.enum(['debug', 'info', 'warn', 'error']).catch('error'),
  msg: z.string(),
  session: z.string().optional().catch(undefined),
  machine: z.string().optional().catch(undefined),
})
export type LogRecord = z.infer<typeof logRecord>

/**
 * Lines of the kept log in which a field `session` or `machine` is one of `ids`, in the order in which they were written. Reads
 * files alone: also those of a controller that does not run, or hangs.
 */
export async function readLogOf(
  directory: string,
  ids: ReadonlySet<string>,
  since = new Date(0),
): Promise<LogRecord[]> {
  const firstDay = since.toISOString().slice(0, 10)
  const records: LogRecord[] = []
  for (const name of logFileNames(directory).filter((name) => name.slice(0, 10) >= firstDay)) {
    const input = createReadStream(join(directory, name))
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      // Most lines are somebody else's: to look for an id is cheaper than to parse.
      if (![...ids].some((id) => line.includes(id))) continue
      const { data } = logRecord.safeParse(parseJson(line))
      if (data && (ids.has(data.session ?? '') || ids.has(data.machine ?? ''))) records.push(data)
    }
  }
  return records
}
