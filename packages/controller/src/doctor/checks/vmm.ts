import { qemuVersion } from '@anteroom/vmm'
import { type Check, ok } from '../check.ts'

/** Is the monitor there, and does it say which one it is? */
export const vmm: Check = {
  name: 'vmm',
  async examine({ config }, scope) {
    const { text } = await qemuVersion(config.vmm.binary, scope)
    return ok(`${config.vmm.binary}: ${text}`)
  },
}
