import { missingForFirewall } from '../../host/host.ts'
import { type Check, ok, warning } from '../check.ts'
import { required } from '../required.ts'

const remedy =
  'Run the controller as root or with CAP_NET_ADMIN, with nftables installed; until then let nobody else use this host.'

/** Are the ports of the machines kept from everybody else on this host? */
export const firewall: Check = {
  name: 'firewall',
  async examine({ config, slots, firewall }, scope) {
    const { kind } = required(slots)
    const pool = kind === 'tap' ? config.network.pool : config.network.user_pool
    const open = `other users of this host can connect to the ports of machines (${pool}), where each machine's secrets keep them out`
    if (firewall === null) {
      const missing = await missingForFirewall(scope)
      if (missing.length === 0) return ok('no controller runs; the next one sets it at its start')
      return warning(`${open}: ${missing.join(', ')}`, remedy)
    }
    const { inForce, why, refused } = await firewall.look(scope)
    const user = process.geteuid?.() ?? 0
    if (inForce)
      return ok(
        `only processes of user ${user} on this host reach the ports of machines (${pool}); ${refused} packets refused`,
      )
    return {
      ...warning(`${open}: ${why}`, remedy),
      fix: async (fixing) =>
        (await firewall.ensure(fixing)).inForce ? 'set the firewall again' : 'nothing: it cannot be set',
    }
  },
}
