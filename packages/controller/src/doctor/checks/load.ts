import { roomOf } from '../../pool/pool.ts'
import { type Check, failed, ok, warning } from '../check.ts'

const remedy = 'Something keeps the processors busy: look at `top`. Machines that start take several times as long.'

/** Do machines get processors? */
export const load: Check = {
  name: 'load',
  async examine({ config, measureHost }) {
    const host = await measureHost()
    const { load, cores } = host
    const text = load.map((average) => average.toFixed(1)).join(' ')
    const found = `load ${text} on ${cores} cores; ${config.vmm.vcpus} processors a machine`
    const { more, detail } = roomOf(config, host).cpu
    if (more < 1) return failed(`${found}; ${detail}: sessions wait`, remedy)
    if (load[1] <= 2 * cores) return ok(found)
    return warning(found, remedy)
  },
}
