import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Check, failed, ok } from '../check.ts'

/** Can be kept what will be asked for when a session fails? */
export const evidence: Check = {
  name: 'evidence',
  async examine({ config }) {
    const directory = join(config.home, 'evidence')
    const probe = join(directory, '.probe')
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      await writeFile(probe, 'probe')
      await rm(probe)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      return failed(
        `${directory} cannot be written: ${why}`,
        'Give it back to the user of the controller, and free space.',
      )
    }
    const { max_age_days, max_total_mib } = config.evidence
    const kept = (await readdir(directory)).length
    return ok(`of ${kept} sessions in ${directory}; at most ${max_age_days} days and ${max_total_mib} MiB`)
  },
}
