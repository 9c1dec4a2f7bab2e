import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createEvidence } from '../../evidence/evidence.ts'
import { type Check, ok, warning } from '../check.ts'
import { whyNotWritable } from '../writable.ts'

/** Can be kept what will be asked for when a session fails, and not for ever? */
export const evidence: Check = {
  name: 'evidence',
  async examine({ config, clock }, { log }) {
    const directory = join(config.home, 'evidence')
    const unwritable = await whyNotWritable(directory)
    if (unwritable) return unwritable
    const { max_age_days, max_total_mib } = config.evidence
    const limits = `at most ${max_age_days} days and ${max_total_mib} MiB`
    const kept = createEvidence({ config, clock, log })
    const overdue = await kept.overdue()
    if (overdue.length === 0) return ok(`${(await readdir(directory)).length} kept in ${directory}; ${limits}`)
    return {
      ...warning(
        `${overdue.length} in ${directory} are older or more than evidence.* allows (${limits})`,
        'The controller removes them within a minute; `npm run anteroom -- doctor --fix` does now.',
      ),
      fix: async () => {
        await kept.collect()
        return `removed ${overdue.length} of ${directory}`
      },
    }
  },
}
