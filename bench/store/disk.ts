import { open } from 'node:fs/promises'
import { join } from 'node:path'

/** About what the write-ahead log grows by when a session is created. */
const commitBytes = 80 * 1024
/** The log is written from its beginning again and again. */
const fileBytes = 50 * commitBytes

/** How long the disk takes to keep as much as a commit writes: what no database can be quicker than. */
export async function measureSyncs(directory: string, times: number): Promise<number[]> {
  await using file = await open(join(directory, 'syncs'), 'w')
  await file.write(Buffer.alloc(fileBytes))
  await file.sync()
  const bytes = Buffer.alloc(commitBytes, 1)
  const values: number[] = []
  for (let n = 0; n < times; n++) {
    const startedAt = performance.now()
    await file.write(bytes, 0, commitBytes, (n * commitBytes) % fileBytes)
    await file.datasync()
    values.push(performance.now() - startedAt)
  }
  return values
}
