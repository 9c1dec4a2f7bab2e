import { type Check, failed, ok, warning } from '../check.ts'

/** The database and the evidence of a session need little; a machine's scratch files and a log more. */
const tooLittleMiB = 200
/** An image and a snapshot are built beside those that are in use. */
const forBuildingMiB = 4096

/** Is there room in the state directory? */
export const disk: Check = {
  name: 'disk',
  async examine({ config, measureHost }) {
    const { freeDiskMiB } = await measureHost()
    const found = `${freeDiskMiB} MiB are free in ${config.home}`
    if (freeDiskMiB < tooLittleMiB) return failed(found, 'Free space there; sessions fail with disk_full soon.')
    if (freeDiskMiB < forBuildingMiB)
      return warning(`${found}; building an image takes ${forBuildingMiB}`, 'Free space there before the next image.')
    return ok(found)
  },
}
