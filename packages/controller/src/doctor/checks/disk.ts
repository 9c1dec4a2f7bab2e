import { roomOf } from '../../pool/pool.ts'
import { type Check, failed, ok, warning } from '../check.ts'

/** The database, its log and the evidence of a few sessions. */
const littleMiB = 200
/** An image and a snapshot are built beside those that are in use. */
const forBuildingMiB = 4096

/** Is there room in the state directory? */
export const disk: Check = {
  name: 'disk',
  async examine({ config, measureHost }) {
    const host = await measureHost()
    const { freeDiskMiB } = host
    const found = `${freeDiskMiB} MiB are free in ${config.home}`
    if (roomOf(config, host).disk.more < 1) return failed(`${found}: sessions wait`, 'Free space there.')
    if (freeDiskMiB < littleMiB) return failed(found, 'Free space there; sessions have to wait soon.')
    if (freeDiskMiB < forBuildingMiB)
      return warning(`${found}; building an image takes ${forBuildingMiB}`, 'Free space there before the next image.')
    return ok(found)
  },
}
