import { missingForTaps } from '../../host/host.ts'
import { type Check, failed, ok, warning } from '../check.ts'
import { required } from '../required.ts'

const remedy =
  'Run the controller as root or with CAP_NET_ADMIN and CAP_SYS_ADMIN, with iproute2 and nftables installed; or set network.kind to user and accept that machines share the host’s network stack.'

/** Can machines have a network of their own, with rules of their own? */
export const network: Check = {
  name: 'network',
  async examine({ config, slots }, scope) {
    const { kind } = required(slots)
    const missing = await missingForTaps(scope)
    if (kind === 'tap')
      return missing.length === 0
        ? ok('each machine has a network namespace, a tap and rules of its own')
        : failed(`machines have tap slots, and no more can be made: ${missing.join(', ')}`, remedy)
    if (config.network.kind === 'user') return ok('network.kind is user: machines share the host’s network stack')
    const why = missing.length === 0 ? 'a tap slot was tried and did not work' : missing.join(', ')
    return warning(`machines share the host’s network stack: ${why}`, remedy)
  },
}
