import { appendFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Scope } from '@anteroom/base'
import { buildSnapshot, type MachineShape, type PublishedSnapshot } from '@anteroom/snapshot'
import type { ImageFiles } from '../images/images.ts'

interface BuildRequest {
  readonly image: ImageFiles
  readonly shape: MachineShape
  readonly home: string
  readonly force: boolean
}

/** Builds the snapshot of a published image; what goes wrong is told in `logs/snapshot-build.log`. */
export async function buildFor({ image, shape, home, force }: BuildRequest, scope: Scope): Promise<PublishedSnapshot> {
  const { directory, manifest, id } = image
  const log = join(home, 'logs', 'snapshot-build.log')
  await mkdir(join(home, 'logs'), { recursive: true })
  await writeFile(log, '')
  return await buildSnapshot(
    {
      image: {
        id,
        kernel: join(directory, manifest.kernel.name),
        initrd: join(directory, manifest.initrd.name),
        rootfs: join(directory, manifest.rootfs.name),
        commandLine: manifest.command_line,
      },
      ...{ shape, force, snapshots: join(home, 'snapshots') },
      onTrouble: (text) => appendFile(log, `${text}\n`),
    },
    scope,
  )
}
