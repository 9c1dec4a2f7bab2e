import { type Check, ok, warning } from '../check.ts'

/** Do machines get processors? */
export const load: Check = {
  name: 'load',
  async examine({ config, measureHost }) {
    const { load, cores } = await measureHost()
    const text = load.map((average) => average.toFixed(1)).join(' ')
    const found = `load ${text} on ${cores} cores; ${config.vmm.vcpus} processors a machine`
    if (load[1] <= 2 * cores) return ok(found)
    return warning(
      found,
      'Something keeps the processors busy: look at `top`. Machines that start take several times as long.',
    )
  },
}
