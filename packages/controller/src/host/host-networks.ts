import { AppError, type Scope } from '@anteroom/base'
import { z } from 'zod'
import { ipCommand } from './ip-command.ts'
import { ipv4Range, overlap } from './ipv4-range.ts'
import { indexOfName } from './tap-names.ts'

const routes = z.array(z.object({ dst: z.string(), dev: z.string().optional(), type: z.string().optional() }))

/**
 * Addresses and routes of this host that the pool would take over, our own links apart. One list tells both: every address
 * has a route of type `local`.
 * @throws AppError network_setup_failed naming both, CommandError
 */
export async function requireFreePool(pool: string, tag: string, scope: Scope): Promise<void> {
  const wanted = ipv4Range(pool)
  const { stdout } = await ipCommand(scope, ['-j', '-4', 'route', 'show', 'table', 'all'])
  const taken = routes
    .parse(JSON.parse(stdout))
    .filter(({ dst, dev }) => dst !== 'default' && (dev === undefined || indexOfName(tag, dev) === undefined))
    .find(({ dst }) => overlap(ipv4Range(dst), wanted))
  if (!taken) return
  throw new AppError('network_setup_failed', {
    detail: `network.pool ${pool} overlaps ${taken.dst} on ${taken.dev ?? 'this host'}; choose another range for network.pool`,
  })
}
