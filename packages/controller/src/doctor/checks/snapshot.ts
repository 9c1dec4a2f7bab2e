import { join } from 'node:path'
import { systemErrorCode } from '@anteroom/base'
import { readSnapshot, snapshotIdOf, snapshotKeyOf, snapshotVerifier } from '@anteroom/snapshot'
import { type Check, failed, ok, type Patient, warning } from '../check.ts'
import { required } from '../required.ts'

/** Is there a saved machine of this image, monitor, host and configuration, with the checksums that were published? */
export const snapshot: Check = {
  name: 'snapshot',
  async examine({ config, images, driver, snapshots }, scope) {
    if (config.vmm.snapshots === 'off')
      return warning('vmm.snapshots is off: every machine boots', 'Set vmm.snapshots to on, unless there is a reason.')
    const { id: imageId } = await images.current()
    const { accelerator } = await required(driver).capabilities(scope)
    const { binary, memory_mib, vcpus } = config.vmm
    const key = await snapshotKeyOf(imageId, { binary, accelerator, memoryMiB: memory_mib, vcpus }, scope)
    const id = snapshotIdOf(key)
    try {
      const { manifest, directory } = await readSnapshot(join(config.home, 'snapshots'), id)
      const verifier = snapshotVerifier(config.home)
      for (const file of [manifest.memory, manifest.state]) await verifier.ensure(join(directory, file.name), file)
      return ok(`${id}, restored and compared when it was made`)
    } catch (error) {
      scope.throwIfOver()
      if (systemErrorCode(error) === 'ENOENT')
        return {
          ...warning(
            `there is none for ${imageId} with this monitor, host and configuration: machines boot`,
            'The controller builds it by itself within minutes; `npm run image` does too.',
          ),
          ...(snapshots && { fix: async () => askFor(snapshots) }),
        }
      return {
        ...failed(
          `${id} cannot be used: ${error instanceof Error ? error.message : error}`,
          'The controller builds it again by itself; look for a failing disk.',
        ),
        ...(snapshots && {
          fix: async () => {
            snapshots.reject(id, error)
            return askFor(snapshots)
          },
        }),
      }
    }
  },
}

function askFor(snapshots: NonNullable<Patient['snapshots']>): string {
  snapshots.rebuild()
  return 'asked for a new one, which takes a minute or more; machines boot meanwhile'
}
