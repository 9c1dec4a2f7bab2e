import { rm } from 'node:fs/promises'
import { logDirectory, logFileNames, overdueLogFiles } from '../../observe/observe.ts'
import { type Check, ok, warning } from '../check.ts'
import { whyNotWritable } from '../writable.ts'

/** Is the log kept, and not for ever? */
export const log: Check = {
  name: 'log',
  async examine({ config, clock }) {
    const directory = logDirectory(config.home)
    const unwritable = await whyNotWritable(directory)
    if (unwritable) return unwritable
    const { max_age_days, max_total_mib } = config.log
    const limits = `at most ${max_age_days} days and ${max_total_mib} MiB`
    const overdue = overdueLogFiles({ directory, limits: config.log, clock })
    if (overdue.length === 0) return ok(`${logFileNames(directory).length} files in ${directory}; ${limits}`)
    return {
      ...warning(
        `${overdue.length} files in ${directory} are older or more than log.* allows (${limits})`,
        'The controller removes them when it begins a new file; `npm run anteroom -- doctor --fix` does now.',
      ),
      fix: async () => {
        for (const path of overdue) await rm(path, { force: true })
        return `removed ${overdue.length} old files of the log`
      },
    }
  },
}
