import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Finding, failed } from './check.ts'

/** undefined: a file can be written there. Makes the directory, as whoever writes there does. */
export async function whyNotWritable(directory: string): Promise<Finding | undefined> {
  const probe = join(directory, '.probe')
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await writeFile(probe, 'probe')
    await rm(probe)
    return undefined
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return failed(
      `${directory} cannot be written: ${why}`,
      'Give it back to the user of the controller, and free space.',
    )
  }
}
