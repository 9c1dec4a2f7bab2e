import { instanceTag, requireFreePool } from '../../host/host.ts'
import { type Check, ok, warning } from '../check.ts'
import { required } from '../required.ts'

/** Is the pool of addresses nobody else's, and large enough? */
export const addresses: Check = {
  name: 'addresses',
  async examine({ config, slots, store }, scope) {
    const { kind, size } = required(slots)
    const pool = kind === 'tap' ? config.network.pool : config.network.user_pool
    if (kind === 'tap') await requireFreePool(pool, await instanceTag(config.home), scope)
    const held = await required(store).db.selectFrom('machines').select('id').execute()
    const found = `${size - held.length} of ${size} addresses of ${pool} are free`
    const wanted = config.limits.max_machines + (config.pool.size === 'auto' ? config.pool.ceiling : config.pool.size)
    if (size >= wanted) return ok(found)
    const key = kind === 'tap' ? 'network.pool' : 'network.user_pool'
    return warning(
      `${found}; sessions and waiting machines may want ${wanted}`,
      `Give ${key} a larger range, or lower limits.max_machines.`,
    )
  },
}
