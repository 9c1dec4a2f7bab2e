import { roomOf } from '../../pool/pool.ts'
import { type Check, failed, ok, warning } from '../check.ts'
import { required } from '../required.ts'

/** How many more machines fit? */
export const memory: Check = {
  name: 'memory',
  async examine({ config, store, measureHost }) {
    const { more, detail } = roomOf(config, await measureHost()).memory
    const held = await required(store)
      .db.selectFrom('machines')
      .select('id')
      .where('session_id', 'is not', null)
      .execute()
    const found = `${detail}: ${more} more fit`
    const wanted = config.limits.max_machines - held.length
    if (more >= wanted) return ok(found)
    const remedy = 'Free memory on the host, lower limits.max_machines, or lower vmm.memory_mib.'
    return more === 0 && held.length === 0
      ? failed(found, remedy)
      : warning(`${found}, limits.max_machines leaves room for ${wanted}`, remedy)
  },
}
